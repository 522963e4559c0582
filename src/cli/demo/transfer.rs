//! `tdl demo transfer`: a file travels.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use humansize::{BINARY, format_size};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use tdl::sandbox::{Cluster, Config};

use super::DemoArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};

/// The demo's account: it lives on DC 2, while a client begins at another, so that a migration really happens.
const PHONE: &str = "9996621234";
const CODE: &str = "22222";

/// Runs the commands that it shows, word for word, on a cluster and a home of their own.
struct Guide<'a> {
    context: &'a Context,
    cluster: PathBuf,
    step: u32,
}

impl Guide<'_> {
    fn title(&mut self, text: &str) {
        self.step += 1;
        self.context.output.note(&format!("\n{}. {text}", self.step));
    }

    /// Anything but success is a promise that did not hold.
    async fn run(&self, words: &[&str]) -> Result<(), CliError> {
        let shown: Vec<String> =
            words.iter().map(|w| if w.contains(' ') || w.is_empty() { format!("{w:?}") } else { (*w).to_owned() }).collect();
        self.context.output.note(&format!("   $ tdl {}", shown.join(" ")));
        let home = self.cluster.join("home");
        let path = |p: &Path| p.to_string_lossy().into_owned();
        let mut line = vec!["tdl".to_owned(), "--sandbox".into(), path(&self.cluster), "--home".into(), path(&home)];
        line.extend(["--ns".into(), "demo".into()]);
        if self.context.settings.quiet {
            line.push("--quiet".into());
        }
        line.extend(words.iter().map(|w| (*w).to_owned()));
        let code = Box::pin(crate::cli::run_line(line, &self.context.interrupt)).await?;
        match code {
            ExitCode::Done => Ok(()),
            code => Err(CliError::new(
                code,
                format!("`tdl {}` ended with code {}: {}", shown.join(" "), code as u8, code.meaning()),
            )),
        }
    }
}

pub(super) async fn run(context: &Context, args: &DemoArgs, dir: &Path) -> Result<ExitCode, CliError> {
    let io = |e: std::io::Error| CliError::failed(format!("in {}: {e}", dir.display()));
    let say = |text: &str| context.output.note(&format!("   {text}"));
    let mut guide = Guide { context, cluster: dir.join("box"), step: 0 };

    guide.title("A Telegram of our own: three data centres, on this machine alone");
    let cluster = Cluster::start(Config::new(&guide.cluster))
        .await
        .map_err(|e| CliError::failed(format!("the cluster does not start: {e}")))?;
    for dc in cluster.dcs() {
        say(&format!("DC{} listens on {}", dc.id, dc.addr()));
    }

    guide.title("Sign up. The key exchange begins with one data centre; the account lives on another");
    guide
        .run(&["login", "-T", "code", "--phone", PHONE, "--code", CODE, "--first-name", "Ada", "--last-name", "Lovelace"])
        .await?;

    let original = dir.join("a crab \u{1f980} of a file.bin");
    // Not a multiple of any part size, so that the last part is a short one.
    let size = u64::from(args.size) * 1024 * 1024 + 12_345;
    guide.title(&format!("Upload a file of {}", format_size(size, BINARY)));
    let sent = make_file(&original, size).map_err(io)?;
    guide.run(&["up", "-p", &original.to_string_lossy()]).await?;

    guide.title("List the chats, and export the one with the file");
    guide.run(&["chat", "ls"]).await?;
    let export = dir.join("export.json");
    guide.run(&["chat", "export", "-o", &export.to_string_lossy()]).await?;

    let downloads = dir.join("downloads");
    guide.title("Download what the export lists");
    guide.run(&["dl", "-f", &export.to_string_lossy(), "-d", &downloads.to_string_lossy()]).await?;

    guide.title("Compare the bytes, by SHA-256");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&downloads).map_err(io)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(io)?;
    let (Some(file), None) = (files.pop(), files.pop()) else {
        return Err(CliError::failed("the download left another number of files than one"));
    };
    let received = hash_file(&file).map_err(io)?;
    say(&format!("sent      {sent}"));
    say(&format!("received  {received}"));
    if sent != received {
        return Err(CliError::failed("the bytes differ"));
    }
    say("every byte agrees");

    guide.title("Log out: on the server first, then here");
    guide.run(&["logout"]).await?;
    cluster.shutdown().await;
    context.output.note("\nAll of it held. The cluster is stopped, and nothing is left running.");
    Ok(ExitCode::Done)
}

/// Writes random bytes; returns their SHA-256.
fn make_file(path: &Path, size: u64) -> std::io::Result<String> {
    let mut rng = StdRng::seed_from_u64(rand::random());
    let mut out = BufWriter::new(File::create(path)?);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1024 * 1024];
    let mut left = size;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let chunk = buffer.get_mut(..n).unwrap_or_default();
        rng.fill_bytes(chunk);
        hash.update(&*chunk);
        out.write_all(chunk)?;
        left -= n as u64;
    }
    out.flush()?;
    Ok(hex(&hash.finalize()))
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
