//! The features of MTProto clients, row by row: who has them, and which tests prove that this one does.
//!
//! A test that proves a row says so on a line of its documentation, `/// Row: A.4 "gzip out"`. From these lines `docs/checks.md` is
//! written; a test fails when it would be written differently now, when a row has no test, and when a line names no row.
//!
//! `cargo test --test tables -- --ignored write_checks` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The other implementations, and the state of each that was read: the columns, in the order of the marks in [`TABLES`].
const OTHERS: &[(&str, &str)] = &[
    ("gotd/td", "Go, 2026-07-28"),
    ("grammers", "Rust, 2026-02-10"),
    ("TDLib", "C++, 2026-07-17"),
    ("Telethon", "Python, v1 of 2024-10-24"),
    ("mtcute", "TypeScript, 2026-07-28"),
    ("ferogram", "Rust, 0.6.5"),
];

struct Table {
    name: &'static str,
    title: &'static str,
    /// The feature, and a mark for each of [`OTHERS`]: `y`es, `p`artly, `n`o, `?` not found out.
    rows: &'static [(&'static str, &'static str)],
}

const TABLES: &[Table] = &[
    Table {
        name: "A.1",
        title: "Transports",
        rows: &[
            ("abridged", "yynyny"),
            ("intermediate", "yyyyyy"),
            ("padded intermediate", "ynyyyy"),
            ("full (crc32+seq)", "yynyny"),
            ("obfuscated2", "yyyyyy"),
            ("MTProxy plain / dd / ee fake-TLS", "ynypyy"),
            ("HTTP (long poll)", "ynypnn"),
            ("WebSocket wss", "ynpnyn"),
            ("SOCKS5 / HTTP proxy", "pyyyyp"),
            ("IPv6", "yyyyyy"),
            ("quick ack", "nnynnn"),
            ("transport errors", "yppppp"),
            ("max frame", "yyyn?y"),
        ],
    },
    Table {
        name: "A.2",
        title: "Key exchange and its checks",
        rows: &[
            ("inner data", "ypypyp"),
            ("RSA_PAD", "ypynyy"),
            ("nonce/server_nonce on every answer", "pypyyp"),
            ("pq sanity", "ypynyy"),
            ("SHA1(answer)", "pyynyy"),
            ("answer shorter than 20 B", "ynyy?n"),
            ("p is 2048-bit safe prime", "ynynyp"),
            ("g quadratic residue", "ynynpy"),
            ("1<g,g_a,g_b<p-1", "yypyyp"),
            ("2^1984 <= g_a,g_b <= p-2^1984", "yyyyyy"),
            ("auth_key zero-padded to 256", "yyynny"),
            ("new_nonce_hash1/2/3 verified", "pypypy"),
            ("dh_gen_retry", "nnppyy"),
            ("time offset from server_time", "nyyyyy"),
            ("both roles (server flow)", "ynnnnn"),
            ("unknown fingerprint behaviour", "yyyyyy"),
        ],
    },
    Table {
        name: "A.3",
        title: "Forward secrecy and keys",
        rows: &[
            ("temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)", "ynynyy"),
            ("background renewal", "pnynyp"),
            ("ENCRYPTED_MESSAGE_INVALID policy (key older than 60 s -> drop)", "ynynn?"),
            ("destroy_auth_key", "nnypyn"),
            ("destroy_session", "nnnpyn"),
        ],
    },
    Table {
        name: "A.4",
        title: "Encrypted messages",
        rows: &[
            ("outgoing padding", "yyyyy?"),
            ("incoming pad 12..1024", "pnynyy"),
            ("length %4, <= buffer", "pnynyy"),
            ("msg_key compare constant time", "nnynnn"),
            ("auth_key_id", "yyyyyy"),
            ("session_id", "ynyyyy"),
            ("odd msg_id parity", "ynyypy"),
            ("-300/+30 s window", "pnyyny"),
            ("duplicate filter", "nnypyy"),
            ("seq_no parity used for ack", "pyynpn"),
            ("ids of inner container messages", "nnnnyn"),
            ("gzip in, bomb cap", "yppppp"),
            ("gzip out", "pyyyyn"),
        ],
    },
    Table {
        name: "A.5",
        title: "Session",
        rows: &[
            ("outgoing containers", "nyyyyp"),
            ("acks", "ppyyyy"),
            ("resend until ack", "pnypyp"),
            ("msgs_state_req / info / all_info", "nnypyn"),
            ("msg_detailed_info / new_detailed", "nnynyn"),
            ("msg_resend_req out", "nnynyn"),
            ("bad_msg 16/17", "nyyyyy"),
            ("18,19,34,35,64", "npypyn"),
            ("20", "nyypyy"),
            ("32/33", "npypyy"),
            ("48 / bad_server_salt", "yyyyyy"),
            ("future_salts", "pyypyn"),
            ("new_session_created", "ppypyp"),
            ("ping_delay_disconnect", "yyynyy"),
            ("rpc_drop_answer", "ynynyn"),
            ("invokeAfterMsg(s)", "nnyyyn"),
            ("http_wait", "ynynnn"),
            ("time sync", "npyppp"),
            ("reconnect / backoff", "ypypyy"),
            ("content of reconnect", "pnypyp"),
        ],
    },
];

/// Rows whose tests are still to come. A row that has one has no place here any more.
const PENDING: &[(&str, &str)] = &[];

/// A row's table and feature.
type Row = (String, String);

/// A test: its file, from the root, and its name.
type Test = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust source below a directory, sorted.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The row that a line of documentation names. Quotation marks of code are left out, so that nobody has to remember them.
fn row_of(line: &str) -> Option<Row> {
    let (table, feature) = line.trim().strip_prefix("/// Row: ")?.split_once(' ')?;
    let feature = feature.strip_prefix('"')?.strip_suffix('"')?;
    Some((table.to_owned(), feature.replace('`', "")))
}

/// The test that the documentation ending at line `at` belongs to; an error if it belongs to something else.
fn test_below(lines: &[&str], at: usize) -> Result<String, String> {
    let mut is_test = false;
    for line in lines.iter().skip(at).map(|line| line.trim()) {
        if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            return if is_test { Ok(name) } else { Err(format!("{name} is no test")) };
        } else if !line.starts_with("//") {
            return Err(format!("no test follows, but {line:?}"));
        }
    }
    Err("nothing follows".into())
}

/// The tests that prove each row, by what their documentation says; and what is wrong with that.
fn proofs() -> (BTreeMap<Row, Vec<Test>>, Vec<String>) {
    let (mut proofs, mut wrong) = (BTreeMap::<Row, Vec<Test>>::new(), Vec::new());
    for path in ["src", "tests"].map(|directory| sources(&root().join(directory))).concat() {
        let file = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let trimmed = line.trim();
            if !trimmed.starts_with("/// Row:") {
                continue;
            }
            match row_of(line) {
                Some((table, feature)) if rows().any(|(t, f, _)| t.name == table && f == feature) => {
                    match test_below(&lines, at) {
                        Ok(name) => proofs.entry((table, feature)).or_default().push((file.clone(), name)),
                        Err(error) => wrong.push(format!("{file}:{}: {error}", at + 1)),
                    }
                }
                _ => wrong.push(format!("{file}:{}: no such row: {trimmed}", at + 1)),
            }
        }
    }
    (proofs, wrong)
}

fn rows() -> impl Iterator<Item = (&'static Table, &'static str, &'static str)> {
    TABLES.iter().flat_map(|table| table.rows.iter().map(move |(feature, marks)| (table, *feature, *marks)))
}

/// What `docs/checks.md` has to say.
fn document(proofs: &BTreeMap<Row, Vec<Test>>) -> String {
    let mut out = String::from(
        "# What is checked, and by which test\n\n\
         Written by `cargo test --test tables -- --ignored write_checks`; edit the tests, not this file. A test names the rows that it\n\
         proves on a line of its documentation. What the others do was read in their sources: ● yes, ◐ partly, ○ no, ? not found out.\n\n",
    );
    for (name, version) in OTHERS {
        let _ = writeln!(out, "* {name}: {version}");
    }
    out.push_str(
        "\nThat these tests would notice is itself tested: `tests/mutations.rs` takes away each check of what peers send, one at a time,\n\
         and sees one of them fail.\n",
    );
    for table in TABLES {
        let _ = write!(out, "\n## {} {}\n\n| feature |", table.name, table.title);
        for (name, _) in OTHERS {
            let _ = write!(out, " {name} |");
        }
        let _ = writeln!(out, " tdl | tests |\n|{}", "---|".repeat(OTHERS.len() + 3));
        for (feature, marks) in table.rows {
            let _ = write!(out, "| {} |", feature.replace('<', "\\<").replace('_', "\\_"));
            for mark in marks.chars() {
                let shown = match mark {
                    'y' => "●",
                    'p' => "◐",
                    'n' => "○",
                    _ => "?",
                };
                let _ = write!(out, " {shown} |");
            }
            let tests = proofs.get(&(table.name.to_owned(), (*feature).to_owned())).map_or(&[][..], Vec::as_slice);
            let links: Vec<_> = tests.iter().map(|(file, name)| format!("[`{name}`](../{file})")).collect();
            let _ = writeln!(out, " {} | {} |", if tests.is_empty() { "○" } else { "●" }, links.join(", "));
        }
    }
    out
}

fn path() -> PathBuf {
    root().join("docs/checks.md")
}

#[test]
fn the_tables_are_whole() {
    for (table, feature, marks) in rows() {
        assert_eq!(marks.len(), OTHERS.len(), "{} {feature}", table.name);
        assert!(marks.chars().all(|mark| "ypn?".contains(mark)), "{} {feature}", table.name);
        assert!(!feature.contains(['"', '`', '|']), "{} {feature}", table.name);
        assert_eq!(rows().filter(|(t, f, _)| t.name == table.name && *f == feature).count(), 1, "{} {feature}", table.name);
    }
}

#[test]
fn every_row_has_a_test_and_every_line_a_row() {
    let (proofs, wrong) = proofs();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let has_test = |table: &str, feature: &str| proofs.contains_key(&(table.to_owned(), feature.to_owned()));
    for (table, feature) in PENDING {
        assert!(rows().any(|(t, f, _)| t.name == *table && f == *feature), "pending, but no row: {table} {feature}");
        assert!(!has_test(table, feature), "{table} {feature:?} has a test: strike it off the pending rows");
    }
    let bare: Vec<_> = rows()
        .map(|(table, feature, _)| (table.name, feature))
        .filter(|(table, feature)| !has_test(table, feature) && !PENDING.contains(&(*table, *feature)))
        .collect();
    assert!(bare.is_empty(), "rows without a test: {bare:#?}");
}

#[test]
fn the_document_is_what_would_be_written() {
    let written = fs::read_to_string(path()).unwrap_or_default();
    let (proofs, _) = proofs();
    assert!(written == document(&proofs), "docs/checks.md is out of date: see the top of this file");
}

#[test]
#[ignore = "writes docs/checks.md"]
fn write_checks() {
    fs::create_dir_all(root().join("docs")).unwrap();
    fs::write(path(), document(&proofs().0)).unwrap();
}

#[test]
fn lines_are_read_as_they_are_meant() {
    let row = |table: &str, feature: &str| Some((table.to_owned(), feature.to_owned()));
    assert_eq!(row_of("    /// Row: A.4 \"gzip out\""), row("A.4", "gzip out"));
    assert_eq!(row_of("/// Row: A.3 \"`ENCRYPTED` policy\""), row("A.3", "ENCRYPTED policy"));
    assert_eq!(row_of("/// Row: A.4 gzip out"), None);
    let lines = ["/// Row: …", "/// More.", "#[tokio::test]", "async fn name() {"];
    assert_eq!(test_below(&lines, 0), Ok("name".into()));
    assert_eq!(test_below(&["/// Row: …", "fn helper() {"], 0), Err("helper is no test".into()));
    assert!(test_below(&["/// Row: …", "", "#[test]", "fn name() {"], 0).is_err());
}

/// A file that no target names would be compiled by nobody, and pass.
#[test]
fn every_file_of_tests_is_run() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (manifest, shared) = (read("Cargo.toml"), read("tests/cli.rs") + &read("tests/interop.rs"));
    let files = fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let forgotten = |file: &str| {
        let Some(name) = file.strip_suffix(".rs") else { return false };
        !manifest.contains(&format!("[[test]]\nname = \"{name}\"\n")) && !shared.contains(&format!("#[path = \"{file}\"]\n"))
    };
    let forgotten: Vec<String> = files.filter(|file| forgotten(file)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}: neither a [[test]] of Cargo.toml nor a module of cli.rs or interop.rs");
}
