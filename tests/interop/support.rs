//! The Python programs that the interop tests run against: an environment of their own, made once, and a process that ends with the
//! test.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// The packages, with exact versions.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The Python of an environment that has the packages of `requirements.txt`.
///
/// It is made on first use, under the target directory, and kept for as long as the list stays the same. Test programs that come at
/// the same time wait for the one that makes it.
///
/// # Panics
///
/// There is no `python3` (3.11 or later) with `venv`, or its package index cannot be reached.
pub(crate) fn python() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    REQUIREMENTS.hash(&mut hasher);
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
        let list = root.join("requirements.txt");
        fs::write(&list, REQUIREMENTS).expect("the target directory is ours");
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&python).args(quiet).arg(&list));
        fs::write(&ready, "").expect("the target directory is ours");
    }
    python
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
