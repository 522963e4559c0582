//! The command tree as a table: what each command and flag owes to whoever reads its help; and what a command runs on.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command, FromArgMatches as _};
use tokio::runtime::RuntimeFlavor;

fn leaves<'a>(command: &'a Command, path: &str, out: &mut Vec<(String, &'a Command)>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        match sub.has_subcommands() {
            true => leaves(sub, &path, out),
            false => out.push((path, sub)),
        }
    }
}

fn all<'a>(command: &'a Command, path: &str, out: &mut Vec<(String, &'a Command)>) {
    out.push((path.to_owned(), command));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        all(sub, &format!("{path} {}", sub.get_name()), out);
    }
}

fn own_args(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
}

#[test]
fn the_tree_is_sound() {
    super::command().debug_assert();
}

#[test]
fn every_command_and_flag_has_help() {
    let root = super::command();
    let mut commands = Vec::new();
    all(&root, "tdl", &mut commands);
    for (path, command) in &commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.len() > 10, "{path} has no description");
        assert!(!about.ends_with('.'), "{path}: the description is a headline");
        for arg in own_args(command) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 8, "{path}: {} has no help", arg.get_id());
            let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            let named = arg
                .get_value_names()
                .is_some_and(|names| names.iter().all(|n| n.chars().all(|c| c.is_uppercase() || c == '-' || c == '_')));
            assert!(!takes_value || named, "{path}: the value of {} has no name in capitals", arg.get_id());
        }
    }
}

#[test]
fn every_command_has_an_example_that_is_about_it() {
    let root = super::command();
    let mut commands = Vec::new();
    leaves(&root, "", &mut commands);
    for (path, command) in commands {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(text.starts_with("Example"), "tdl{path} has no example");
        let name = path.rsplit(' ').next().unwrap_or_default();
        let aliases: Vec<&str> = command.get_all_aliases().collect();
        assert!(
            text.lines().any(|line| line.contains("tdl") && line.split_whitespace().any(|word| word == name || aliases.contains(&word))),
            "tdl{path}: no example shows it"
        );
    }
}

#[test]
fn examples_can_be_typed() {
    let root = super::command();
    let mut commands = Vec::new();
    all(&root, "", &mut commands);
    for (path, command) in commands {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("tdl ")) {
            // Explanations stand behind two spaces; pipes and redirections are the shell's.
            let typed = line.split("  ").next().unwrap_or_default();
            let typed = typed.split(['>', '|', '&']).next().unwrap_or_default();
            let words: Vec<String> = shell_words(typed);
            if let Err(error) = super::command().try_get_matches_from(&words) {
                assert!(!error.use_stderr(), "tdl{path}: `{typed}`: {error}");
            }
        }
    }
}

/// Splits as a shell does, for the quotes that examples have.
fn shell_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

#[test]
fn environment_variables_follow_the_flags_and_do_not_clash() {
    let root = super::command();
    let mut commands = Vec::new();
    all(&root, "tdl", &mut commands);
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (path, command) in commands {
        for arg in own_args(command) {
            let Some(env) = arg.get_env() else { continue };
            let env = env.to_string_lossy().into_owned();
            let long = arg.get_long().unwrap_or_default().to_uppercase().replace('-', "_");
            assert_eq!(env, format!("TDL_{long}"), "{path}");
            let previous = seen.insert(env.clone(), arg.get_id().to_string());
            assert!(previous.is_none_or(|id| id == arg.get_id().as_str()), "{path}: {env} stands for two flags");
        }
    }
    assert!(seen.contains_key("TDL_NS") && seen.contains_key("TDL_APP_HASH"));
}

#[test]
fn short_flags_of_commands_do_not_hide_global_ones() {
    let root = super::command();
    let global: Vec<char> = root.get_arguments().filter(|a| a.is_global_set()).filter_map(Arg::get_short).collect();
    assert!(global.contains(&'n') && global.contains(&'t'));
    let mut commands = Vec::new();
    all(&root, "tdl", &mut commands);
    for (path, command) in commands.iter().skip(1) {
        for arg in own_args(command).filter(|arg| !arg.is_global_set()) {
            assert!(arg.get_short().is_none_or(|short| !global.contains(&short)), "{path}: -{:?}", arg.get_short());
        }
    }
}

#[test]
fn secrets_are_not_shown_in_help() {
    let root = super::command();
    let mut commands = Vec::new();
    all(&root, "tdl", &mut commands);
    for (path, command) in commands {
        for arg in own_args(command)
            .filter(|arg| arg.get_env().is_some())
            .filter(|arg| matches!(arg.get_id().as_str(), "app_hash" | "phone" | "code" | "password" | "token"))
        {
            assert!(arg.is_hide_env_values_set(), "{path}: {}", arg.get_id());
        }
    }
}

#[test]
fn who_serves_nobody_has_one_thread_for_connections_and_it_is_not_the_commands_own() {
    // One for each core, unless the environment says otherwise.
    let usual = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let cores = usual.metrics().num_workers();
    for (line, workers) in [
        ("tdl whoami", 1),
        ("tdl dl -u https://t.me/a/1", 1),
        ("tdl up -p a", 1),
        ("tdl watch", 1),
        ("tdl dl -u https://t.me/a/1 --serve", cores),
        ("tdl sandbox up --dir box", cores),
        ("tdl demo", cores),
    ] {
        let matches = super::command().try_get_matches_from(line.split(' ')).unwrap();
        let command = super::Cli::from_arg_matches(&matches).unwrap().command;
        let runtime = super::runtime(&command).unwrap();
        assert_eq!(runtime.metrics().num_workers(), workers, "{line}");
        assert_eq!(runtime.handle().runtime_flavor(), RuntimeFlavor::MultiThread, "{line}");
    }
}
