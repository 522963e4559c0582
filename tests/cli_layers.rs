//! `tdl --layer L` against a cluster that answers each client in the client's own layer and refuses constructors of any other.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::fs;

use support::{Sandbox, TestDir};

/// Layers that clients in the field speak; the last one is our own.
const LAYERS: [u32; 5] = [198, 201, 214, 224, 230];

#[test]
fn the_whole_job_is_done_in_each_layer() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let layers = sandbox.ready["layers"].as_array().unwrap().clone();
    assert!(LAYERS.iter().all(|layer| layers.contains(&(*layer).into())), "{layers:?}");
    for (n, layer) in LAYERS.into_iter().enumerate() {
        let tdl = |args: &str| {
            let mut command = sandbox.tdl(&dir);
            command.args(&format!("-n layer-{layer} --layer {layer} {args}"));
            command
        };
        let dc = 1 + n % 3;
        let code = dc.to_string().repeat(5);
        tdl(&format!("login --phone 99966{dc}1{layer} --code {code} --first-name Ada{layer} --last-name L")).ok();
        let me = tdl("whoami --json --trace").ok();
        assert_eq!(me.json()["first_name"], format!("Ada{layer}"));
        assert!(me.stderr().contains(&format!("layer {layer}")), "{}", me.stderr());
        tdl("watch --until-now").ok().no_stdout();

        let content = format!("what was sent in layer {layer}");
        dir.write(&format!("up-{layer}/note.txt"), &content);
        tdl(&format!("up -p up-{layer}")).ok();
        let chats = tdl("chat ls --json").ok().json();
        assert_eq!(chats.as_array().unwrap().len(), 1, "{chats}");
        let export = tdl(&format!("chat export --all --with-content -o export-{layer}.json --json")).ok().json();
        assert_eq!(export["messages"], 1, "{export}");
        tdl(&format!("dl -f export-{layer}.json -d down-{layer}")).ok();
        let down = fs::read_dir(dir.join(format!("down-{layer}"))).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(down).unwrap(), content);
        let seen = tdl("watch --until-now").ok().stdout();
        assert!(seen.contains("updateNewMessage") && seen.contains("note.txt"), "{seen}");

        // What a namespace has spoken it goes on speaking.
        let info = sandbox.tdl(&dir).args(&format!("-n layer-{layer} session info --json")).ok().json();
        assert_eq!(info["identity"]["layer"], layer);
        let again = sandbox.tdl(&dir).args(&format!("-n layer-{layer} whoami --trace")).ok().stderr();
        assert!(again.contains(&format!("layer {layer}")), "{again}");
    }
    let wrong = sandbox.tdl(&dir).args("--layer 200 whoami").code(2);
    wrong.error("198, 199, 201", "--layer");
    dir.write("box/home/config.toml", "layer = 17\n");
    sandbox.tdl(&dir).args("whoami").code(2).error("layer 17 is not bundled", "--layer");
}
