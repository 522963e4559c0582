//! Runs the real binary in a directory of its own. A failure prints the command, the directory, its files and both streams.

// Each test program uses the part that it needs.
#![allow(dead_code)]

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// A directory that is thrown away, with a home of tdl in it.
pub(crate) struct TestDir {
    dir: TempDir,
}

impl TestDir {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temporary directory") }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("directory");
        fs::write(&path, content).expect("written");
        path
    }

    /// `tdl` in it, with nothing of the caller's environment that could matter, and the home at `home`.
    pub(crate) fn tdl(&self) -> TestCommand {
        let mut command = TestCommand { dir: self.path().to_path_buf(), args: Vec::new(), env: Vec::new() };
        command.env("TDL_HOME", self.join("home"));
        command
    }
}

/// One run of `tdl`.
#[derive(Clone)]
pub(crate) struct TestCommand {
    dir: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
}

impl TestCommand {
    /// Adds an argument.
    pub(crate) fn arg(&mut self, arg: impl Into<OsString>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments, separated by spaces.
    pub(crate) fn args(&mut self, args: &str) -> &mut Self {
        self.args.extend(args.split_whitespace().map(OsString::from));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    /// Unsets an environment variable.
    pub(crate) fn env_remove(&mut self, name: &str) -> &mut Self {
        self.env.push((name.into(), None));
        self
    }

    /// The command, for what the methods below cannot do. Standard input is empty.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tdl"));
        command.current_dir(&self.dir).args(&self.args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TDL_") || name == "NO_COLOR" {
                command.env_remove(name);
            }
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Finished {
        let output = self.command().output().expect("the binary starts");
        Finished { output, about: self.about() }
    }

    /// Runs it and insists on its exit code.
    pub(crate) fn code(&self, code: i32) -> Finished {
        let finished = self.run();
        finished.expect_code(code);
        finished
    }

    /// Runs it and insists that it succeeds.
    pub(crate) fn ok(&self) -> Finished {
        self.code(0)
    }

    fn about(&self) -> String {
        let args: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let env: Vec<_> = self.env.iter().map(|(name, value)| format!("{}={value:?}", name.to_string_lossy())).collect();
        let mut text =
            format!("command: tdl {}\nenv: {}\ncwd: {}\nfiles:\n", args.join(" "), env.join(" "), self.dir.display());
        list(&self.dir, 0, &mut text);
        text
    }
}

fn list(dir: &Path, depth: usize, out: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().take(50) {
        let size = entry.metadata().map_or(0, |m| m.len());
        let _ = writeln!(out, "  {}{} ({size} B)", "  ".repeat(depth), entry.file_name().to_string_lossy());
        if entry.path().is_dir() && depth < 3 {
            list(&entry.path(), depth + 1, out);
        }
    }
}

/// A run that ended.
pub(crate) struct Finished {
    output: Output,
    about: String,
}

impl Finished {
    /// Standard output as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap_or_else(|_| panic!("stdout is not UTF-8\n{self}"))
    }

    /// Standard output.
    pub(crate) fn stdout_bytes(&self) -> Vec<u8> {
        self.output.stdout.clone()
    }

    /// Standard error as text.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Standard output as one JSON document.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.output.stdout).unwrap_or_else(|e| panic!("stdout is not JSON: {e}\n{self}"))
    }

    /// Insists on the exit code.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.output.status.code(), Some(code), "wrong exit code\n{self}");
        self
    }

    /// Insists on text in standard output.
    pub(crate) fn stdout_has(&self, text: &str) -> &Self {
        assert!(self.stdout().contains(text), "stdout lacks {text:?}\n{self}");
        self
    }

    /// Insists on text in standard error.
    pub(crate) fn stderr_has(&self, text: &str) -> &Self {
        assert!(self.stderr().contains(text), "stderr lacks {text:?}\n{self}");
        self
    }

    /// Insists that nothing was written to standard output.
    pub(crate) fn no_stdout(&self) -> &Self {
        assert!(self.output.stdout.is_empty(), "stdout is not empty\n{self}");
        self
    }

    /// Insists on an error of two lines: what happened, and what to do.
    pub(crate) fn error(&self, what: &str, advice: &str) -> &Self {
        self.no_stdout();
        let stderr = self.stderr();
        let line = |prefix: &str| stderr.lines().find(|line| line.starts_with(prefix)).unwrap_or_default().to_owned();
        assert!(line("error: ").contains(what), "the error does not say {what:?}\n{self}");
        assert!(line(" help: ").contains(advice), "the help does not say {advice:?}\n{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stdout, stderr) = (String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr));
        write!(f, "{}status: {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---", self.about, self.output.status)
    }
}

/// `tdl sandbox up` in the background. Killed when dropped.
pub(crate) struct Sandbox {
    child: Child,
    /// What it printed when it was ready.
    pub(crate) ready: serde_json::Value,
}

impl Sandbox {
    /// Starts a cluster in the directory's `box` and waits until it is ready.
    pub(crate) fn start(dir: &TestDir) -> Self {
        Self::start_with(dir, "")
    }

    /// The same, with more arguments.
    pub(crate) fn start_with(dir: &TestDir, arguments: &str) -> Self {
        let mut command = dir.tdl();
        command.args("sandbox up --quiet --dir box").args(arguments);
        let mut child = command.command().stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        lines.read_line(&mut line).expect("a line when it is ready");
        let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON: {e}: {line:?}"));
        Self { child, ready }
    }

    /// `tdl --sandbox box` with the home inside it.
    pub(crate) fn tdl(&self, dir: &TestDir) -> TestCommand {
        let mut command = dir.tdl();
        command.env_remove("TDL_HOME").args("--sandbox box");
        command
    }

    /// Interrupts it as a person would, and says how it ended.
    #[cfg(unix)]
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        self.child.wait().expect("ended").code()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What makes the account that the tests have, on the cluster's second DC.
pub(crate) const SIGN_UP: &str = "login --phone 9996621234 --code 22222 --first-name Ada --last-name Lovelace";

/// A cluster, and that account logged in to it.
pub(crate) fn logged_in(dir: &TestDir) -> Sandbox {
    let sandbox = Sandbox::start(dir);
    tdl(&sandbox, dir, SIGN_UP).ok();
    sandbox
}

/// `tdl` with these arguments, which are split at spaces, against the cluster.
pub(crate) fn tdl(sandbox: &Sandbox, dir: &TestDir, args: &str) -> TestCommand {
    let mut command = sandbox.tdl(dir);
    command.args(args);
    command
}

/// The command that a failed run prints, run by a shell as a person would paste it.
#[cfg(unix)]
pub(crate) fn paste(dir: &TestDir, failed: &Finished) -> Output {
    let stderr = failed.stderr();
    let line = stderr.lines().find_map(|l| l.strip_prefix("to try those again: ")).expect("a command to try again");
    let binary = env!("CARGO_BIN_EXE_tdl");
    let script = format!("tdl() {{ '{binary}' \"$@\"; }}\n{line}");
    Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().expect("a shell runs")
}

/// Bytes that differ from part to part, the same for the same seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(state.to_le_bytes());
    }
    out.truncate(len);
    out
}
