//! The Python and Node programs that the interop tests run against: an environment of their own, made once, and a process that ends with
//! the test.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Lines, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// The Python of an environment that has the packages of `requirements.txt`.
///
/// # Panics
///
/// As [`python_with`].
pub(crate) fn python() -> PathBuf {
    python_with("requirements.txt")
}

/// The Python of an environment that has the packages, in exact versions, of a list beside this file.
///
/// It is made on first use, under the target directory, and kept for as long as the list stays the same. Test programs that come at
/// the same time wait for the one that makes it.
///
/// # Panics
///
/// There is no `python3` (3.11 or later) with `venv`, or its package index cannot be reached.
pub(crate) fn python_with(list: &str) -> PathBuf {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(list);
    let requirements = fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    let venv = root.join(format!("venv-{:016x}", hasher.finish()));
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let ready = venv.join("ready");

    fs::create_dir_all(&root).expect("the target directory is ours");
    let lock = File::create(root.join("lock")).expect("the target directory is ours");
    lock.lock().expect("a file can be locked");
    if !ready.exists() {
        // Left by a run that was interrupted.
        let _ = fs::remove_dir_all(&venv);
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&python).args(quiet).arg(&list));
        fs::write(&ready, "").expect("the target directory is ours");
    }
    python
}

/// The packages for Node, with exact versions.
const PACKAGE: &str = include_str!("package.json");

/// The path of a Node program beside this file, copied to where the packages of `package.json` are: Node looks for them from there.
///
/// # Panics
///
/// As [`node_program_with`].
pub(crate) fn node_program(name: &str) -> PathBuf {
    node_program_with(PACKAGE, name)
}

/// The same with the packages of another list, given its content.
///
/// The directory is made on first use, as the Python environment is.
///
/// # Panics
///
/// There is no `npm`, or its registry cannot be reached.
pub(crate) fn node_program_with(package: &str, name: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    package.hash(&mut hasher);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    let home = root.join(format!("node-{:016x}", hasher.finish()));
    fs::create_dir_all(&home).expect("the target directory is ours");
    let lock = File::create(root.join("lock")).expect("the target directory is ours");
    lock.lock().expect("a file can be locked");
    if !home.join("ready").exists() {
        fs::write(home.join("package.json"), package).expect("the target directory is ours");
        // No scripts: what they would build (a database) is not used.
        let quiet = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new("npm").args(quiet).current_dir(&home));
        fs::write(home.join("ready"), "").expect("the target directory is ours");
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    // What the programs have in common goes with each.
    for file in ["chat.mjs", name] {
        // Moved into its place whole: another test may be running it.
        let copy = home.join(format!("{file}.{}", std::process::id()));
        fs::copy(own.join(file), &copy).expect("the target directory is ours");
        fs::rename(&copy, home.join(file)).expect("the target directory is ours");
    }
    home.join(name)
}

/// Runs a program to its end, which must be a good one. What it printed: one JSON object a line.
pub(crate) fn json_lines(command: &mut Command) -> Vec<serde_json::Value> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let lines: Vec<String> = BufReader::new(child.stdout.take().expect("it was asked for"))
        .lines()
        .map(|line| line.expect("it prints UTF-8"))
        .collect();
    let status = child.wait().expect("it runs");
    assert!(status.success(), "{command:?}: {status}\n{}", lines.join("\n"));
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// What each line calls its step.
pub(crate) fn steps(lines: &[serde_json::Value]) -> Vec<&str> {
    lines.iter().map(|line| line["step"].as_str().expect("each line names its step")).collect()
}

fn run(command: &mut Command) {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}; the interop tests need python3 with venv"),
    };
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// A Python program beside this file, running. It is ended when this is dropped.
pub(crate) struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts `name` with `arguments`.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name);
        let mut command = Command::new(python());
        command.arg("-u").arg(path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        Self { child, lines }
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it was asked for");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// The next line that it prints; it is waited for.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.next() {
            Some(line) => line.expect("it prints UTF-8"),
            None => panic!("the script ended: {:?}", self.child.wait()),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
