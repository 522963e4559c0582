//! What was typed, the environment and `config.toml`, put together into what it means.
//!
//! Order: flag, environment, the namespace's table in the file, the file, built in. clap merges the first two and knows which it was.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgMatches, ValueEnum, parser::ValueSource};
use serde::Deserialize;
use tdl::{
    client::PfsPolicy,
    debug::Shown,
    store::NamespaceName,
    trace::LayerSet,
    transport::{Proxy, mtproxy::Disguise, proxy::ProxyUrlError},
};

use super::{
    args::{self, GlobalArgs, ProgressMode, Secrets, Switch, TransportKind},
    duration,
    exit::CliError,
    passphrase::PassphraseSource,
};

/// Which Telegram to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// The one that people use.
    Production,
    /// The public test data centres.
    PublicTest,
    /// The one a file describes.
    File(PathBuf),
    /// The one that `sandbox up` runs on this machine.
    Sandbox(PathBuf),
}

/// The meaning of all global flags.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ns: NamespaceName,
    pub(crate) home: PathBuf,
    pub(crate) cluster: Cluster,
    pub(crate) app_id: Option<i32>,
    pub(crate) app_hash: Option<String>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) transport: TransportKind,
    pub(crate) device: Option<String>,
    pub(crate) layer: Option<i32>,
    pub(crate) ipv6: bool,
    /// Forward secrecy, and how long temporary keys last.
    pub(crate) pfs: Option<PfsPolicy>,
    pub(crate) pool: u16,
    pub(crate) threads: u16,
    pub(crate) limit: u16,
    pub(crate) delay: Duration,
    pub(crate) reconnect_timeout: Duration,
    pub(crate) max_flood_wait: Duration,
    pub(crate) trace: Option<LayerSet>,
    pub(crate) trace_file: Option<PathBuf>,
    pub(crate) trace_secrets: Shown,
    /// Where the passphrase of an encrypted namespace is to be had.
    pub(crate) passphrase: PassphraseSource,
    /// Not in the file: what gives keys away has to be asked for each time.
    pub(crate) keylog: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) progress: ProgressMode,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

/// One table of `config.toml`: the long names of the flags. The home and the sandbox say where the file is, so they are not in it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Defaults {
    ns: Option<String>,
    dc_config: Option<PathBuf>,
    test_dc: Option<bool>,
    app_id: Option<i32>,
    app_hash: Option<String>,
    proxy: Option<String>,
    transport: Option<String>,
    device: Option<String>,
    layer: Option<i32>,
    ipv6: Option<bool>,
    pfs: Option<bool>,
    pfs_lifetime: Option<String>,
    pool: Option<u16>,
    threads: Option<u16>,
    limit: Option<u16>,
    delay: Option<String>,
    reconnect_timeout: Option<String>,
    max_flood_wait: Option<String>,
    trace: Option<String>,
    trace_file: Option<PathBuf>,
    trace_secrets: Option<String>,
    passphrase_file: Option<PathBuf>,
    passphrase_command: Option<String>,
    json: Option<bool>,
    progress: Option<String>,
    quiet: Option<bool>,
    verbose: Option<bool>,
}

/// The file: defaults for all, and under `[namespace.NAME]` for one.
#[derive(Debug, Default)]
struct ConfigFile {
    path: PathBuf,
    general: Defaults,
    namespaces: toml::Table,
}

impl Settings {
    /// Puts everything together. `matches` says which values came from the command line and which from the environment.
    pub(crate) fn resolve(mut args: GlobalArgs, matches: &ArgMatches) -> Result<Self, CliError> {
        // An empty variable is as good as none. An empty flag is not: it may stand for a variable that was to name a proxy.
        if matches.value_source("proxy") == Some(ValueSource::EnvVariable) {
            args.proxy.take_if(|url| url.is_empty());
        }
        let chosen = chosen_cluster(&args, matches)?;
        let home = match (&args.home, &chosen) {
            (Some(home), _) => home.clone(),
            (None, Some(Cluster::Sandbox(dir))) => dir.join("home"),
            (None, _) => platform_home()?,
        };
        let file = ConfigFile::read(&home.join("config.toml"))?;
        let ns = match (args.ns.clone(), &file.general.ns) {
            (Some(ns), _) => ns,
            (None, Some(ns)) => ns.parse().map_err(|e: tdl::store::Error| file.wrong("ns", &e))?,
            (None, None) => NamespaceName::default(),
        };
        let own = file.for_namespace(&ns)?;
        Self::layered(args, chosen, ns, home, &[&own, &file.general], &file)
    }

    fn layered(
        args: GlobalArgs,
        chosen: Option<Cluster>,
        ns: NamespaceName,
        home: PathBuf,
        layers: &[&Defaults],
        file: &ConfigFile,
    ) -> Result<Self, CliError> {
        /// The first layer that has a value.
        macro_rules! from_file {
            ($field:ident) => {
                layers.iter().find_map(|layer| layer.$field.clone())
            };
        }
        let span = |name: &str, typed: Option<Duration>, text: Option<String>, built_in: Duration| match (typed, text) {
            (Some(typed), _) => Ok(typed),
            (None, Some(text)) => duration::parse(&text).map_err(|e| file.wrong(name, &e)),
            (None, None) => Ok(built_in),
        };
        let count = |name: &str, typed: Option<u16>, found: Option<u16>, built_in: u16| match (typed, found) {
            (Some(n), _) => Ok(n),
            (None, Some(n)) if (1..=64).contains(&n) => Ok(n),
            (None, Some(n)) => Err(file.wrong(name, &format!("{n} is not in 1..=64"))),
            (None, None) => Ok(built_in),
        };
        let trace = match (args.trace, from_file!(trace)) {
            (Some(what), _) => Some(what),
            (None, Some(names)) => Some(super::trace::layers(&names).map_err(|e| file.wrong("trace", &e))?),
            (None, None) => None,
        };
        let secrets = match (args.trace_secrets, from_file!(trace_secrets)) {
            (Some(secrets), _) => secrets,
            (None, Some(name)) => Secrets::from_str(&name, true)
                .map_err(|_| file.wrong("trace-secrets", &format!("'{name}' is none of none, texts and all")))?,
            (None, None) => Secrets::None,
        };
        let transport = match (args.transport, from_file!(transport)) {
            (Some(kind), _) => kind,
            (None, Some(name)) => TransportKind::from_str(&name, true)
                .map_err(|_| file.wrong("transport", &format!("no kind is called '{name}'")))?,
            (None, None) => TransportKind::default(),
        };
        let proxy = match (args.proxy.as_deref(), from_file!(proxy)) {
            (Some(url), _) => proxy(url).map_err(|e| wrong_proxy(format!("--proxy or TDL_PROXY: {e}")))?,
            (None, Some(url)) => proxy(&url).map_err(|e| file.wrong("proxy", &e))?,
            (None, None) => None,
        };
        if let Some(proxy) = &proxy {
            check_transport(proxy, transport)?;
        }
        let progress = match (args.progress, from_file!(progress)) {
            (Some(mode), _) => mode,
            (None, Some(name)) => ProgressMode::from_str(&name, true)
                .map_err(|_| file.wrong("progress", &format!("no mode is called '{name}'")))?,
            (None, None) => ProgressMode::default(),
        };
        let lifetime = match (args.pfs_lifetime, from_file!(pfs_lifetime)) {
            (Some(typed), _) => typed,
            (None, Some(text)) => args::pfs_lifetime(&text).map_err(|e| file.wrong("pfs-lifetime", &e))?,
            (None, None) => PfsPolicy::default().lifetime,
        };
        let pfs = args.pfs.map(|switch| switch == Switch::On).or(from_file!(pfs)).unwrap_or(true);
        // Which profiles there are, the namespace knows.
        let device = args.device.or(from_file!(device));
        // Layer by layer: a namespace's own source of either kind beats the general one of the other kind, and what was typed beats both.
        let typed = (args.passphrase_file, args.passphrase_command);
        let stored = layers.iter().map(|layer| (layer.passphrase_file.clone(), layer.passphrase_command.clone()));
        let (passphrase_file, passphrase_command) =
            std::iter::once(typed).chain(stored).find(|pair| pair.0.is_some() || pair.1.is_some()).unwrap_or_default();
        let layer = args.layer.or(from_file!(layer));
        if let Some(layer) = layer
            && let Err(unknown) = tdl::tl::layers::schema(layer)
        {
            return Err(CliError::usage(unknown.to_string()).advise("choose one of those with --layer, or leave it out"));
        }
        let cluster = match chosen {
            Some(cluster) => cluster,
            // Layer by layer: a namespace's own choice of either kind beats the general one of the other kind.
            None => layers
                .iter()
                .find_map(|layer| match (&layer.dc_config, layer.test_dc) {
                    (Some(path), _) => Some(Cluster::File(path.clone())),
                    (None, Some(true)) => Some(Cluster::PublicTest),
                    (None, Some(false)) => Some(Cluster::Production),
                    (None, None) => None,
                })
                .unwrap_or(Cluster::Production),
        };
        Ok(Self {
            ns,
            home,
            cluster,
            app_id: args.app_id.or(from_file!(app_id)),
            app_hash: args.app_hash.or(from_file!(app_hash)),
            proxy,
            transport,
            device,
            layer,
            ipv6: args.ipv6 || from_file!(ipv6).unwrap_or(false),
            pfs: pfs.then_some(PfsPolicy { lifetime }),
            pool: count("pool", args.pool, from_file!(pool), 8)?,
            threads: count("threads", args.threads, from_file!(threads), 4)?,
            limit: count("limit", args.limit, from_file!(limit), 2)?,
            delay: span("delay", args.delay, from_file!(delay), Duration::ZERO)?,
            reconnect_timeout: span(
                "reconnect-timeout",
                args.reconnect_timeout,
                from_file!(reconnect_timeout),
                Duration::from_secs(300),
            )?,
            max_flood_wait: span("max-flood-wait", args.max_flood_wait, from_file!(max_flood_wait), Duration::from_secs(600))?,
            trace,
            trace_file: args.trace_file.or(from_file!(trace_file)),
            trace_secrets: secrets.shown(),
            passphrase: PassphraseSource { file: passphrase_file, command: passphrase_command, variable: "TDL_PASSPHRASE" },
            keylog: args.keylog,
            json: args.json || from_file!(json).unwrap_or(false),
            progress,
            // Asking for one on the command line undoes the other in the file.
            quiet: args.quiet || (!args.verbose && from_file!(quiet).unwrap_or(false)),
            verbose: args.verbose || (!args.quiet && from_file!(verbose).unwrap_or(false)),
        })
    }
}

impl ConfigFile {
    fn read(path: &Path) -> Result<Self, CliError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self { path: path.to_path_buf(), ..Self::default() }),
            Err(e) => {
                return Err(CliError::failed(format!("{}: {e}", path.display())).advise("make the file readable, or remove it"));
            }
        };
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, CliError> {
        let wrong = |e: toml::de::Error| Self::error(path, &e);
        let mut table: toml::Table = toml::from_str(text).map_err(wrong)?;
        let namespaces = match table.remove("namespace") {
            None => toml::Table::new(),
            Some(toml::Value::Table(table)) => table,
            Some(_) => return Err(Self::error(path, &"'namespace' must be a table: [namespace.NAME]")),
        };
        Ok(Self { path: path.to_path_buf(), general: table.try_into().map_err(wrong)?, namespaces })
    }

    fn for_namespace(&self, ns: &NamespaceName) -> Result<Defaults, CliError> {
        match self.namespaces.get(ns.as_str()) {
            None => Ok(Defaults::default()),
            Some(value) => {
                let own: Defaults = value.clone().try_into().map_err(|e: toml::de::Error| Self::error(&self.path, &e))?;
                match own.ns {
                    Some(_) => Err(Self::error(&self.path, &format!("[namespace.{ns}] cannot choose a namespace"))),
                    None => Ok(own),
                }
            }
        }
    }

    fn wrong(&self, key: &str, why: &dyn std::fmt::Display) -> CliError {
        Self::error(&self.path, &format!("{key}: {why}"))
    }

    fn error(path: &Path, why: &dyn std::fmt::Display) -> CliError {
        CliError::usage(format!("{}: {}", path.display(), why.to_string().trim_end().replace('\n', "\n  ")))
            .advise("its keys are the long names of the flags, such as `threads = 8`; defaults for one namespace go under [namespace.NAME]")
    }
}

/// The proxy that a URL means; `none` undoes what comes further down the order.
fn proxy(url: &str) -> Result<Option<Proxy>, ProxyUrlError> {
    if url == "none" { Ok(None) } else { url.parse().map(Some) }
}

fn wrong_proxy(why: String) -> CliError {
    CliError::usage(why).advise(
        "write socks5://USER:PASSWORD@HOST:PORT, http://HOST:PORT, mtproxy://SECRET@HOST:PORT or a link to t.me/proxy; `none` connects \
         directly",
    )
}

/// An MTProxy has a say in how bytes travel. What was asked for and cannot be had is refused, not passed over.
fn check_transport(proxy: &Proxy, kind: TransportKind) -> Result<(), CliError> {
    use TransportKind as T;
    let Some(secret) = proxy.secret() else { return Ok(()) };
    let fits = match secret.disguise() {
        Disguise::Plain => {
            matches!(
                kind,
                T::Auto | T::Obfuscated | T::ObfuscatedAbridged | T::ObfuscatedIntermediate | T::Abridged | T::Intermediate
            )
        }
        Disguise::Padded | Disguise::FakeTls { .. } => matches!(kind, T::Auto | T::Obfuscated | T::Padded),
    };
    if fits {
        return Ok(());
    }
    let name = kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    Err(CliError::usage(format!("the transport '{name}' cannot be used through {proxy}"))
        .advise("leave --transport out: the proxy's secret decides"))
}

/// The cluster that flags choose, or else the environment. Two at once are an error, unless one was typed and the other is ambient.
fn chosen_cluster(args: &GlobalArgs, matches: &ArgMatches) -> Result<Option<Cluster>, CliError> {
    let all = [
        ("sandbox", "--sandbox", args.sandbox.clone().map(Cluster::Sandbox)),
        ("dc_config", "--dc-config", args.dc_config.clone().map(Cluster::File)),
        ("test_dc", "--test-dc", args.test_dc.then_some(Cluster::PublicTest)),
    ];
    for level in [ValueSource::CommandLine, ValueSource::EnvVariable] {
        let mut chosen = all.iter().filter(|(id, _, value)| value.is_some() && matches.value_source(id) == Some(level));
        match (chosen.next(), chosen.next()) {
            (None, _) => {}
            (Some((_, _, value)), None) => return Ok(value.clone()),
            (Some((_, one, _)), Some((_, other, _))) => {
                return Err(CliError::usage(format!("{one} and {other} exclude each other")).advise("give only one of them"));
            }
        }
    }
    Ok(None)
}

pub(crate) fn platform_home() -> Result<PathBuf, CliError> {
    directories::ProjectDirs::from("", "", "tdl").map(|dirs| dirs.data_dir().to_path_buf()).ok_or_else(|| {
        CliError::failed("this system names no data directory (is HOME set?)").advise("choose a directory with --home DIR")
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::args::Cli;

    fn resolve(config: &str, args: &[&str]) -> Result<Settings, CliError> {
        let matches =
            Cli::command().try_get_matches_from(["tdl"].iter().chain(args).chain(&["whoami"])).expect("valid arguments");
        let cli = Cli::from_arg_matches(&matches).expect("valid arguments");
        let chosen = chosen_cluster(&cli.global, &matches)?;
        let file = ConfigFile::parse(Path::new("config.toml"), config)?;
        let ns: NamespaceName = cli.global.ns.clone().unwrap_or_default();
        let own = file.for_namespace(&ns)?;
        Settings::layered(cli.global, chosen, ns, PathBuf::from("h"), &[&own, &file.general], &file)
    }

    #[test]
    fn built_in_values_apply_last() {
        let s = resolve("", &[]).expect("valid");
        assert_eq!((s.pool, s.threads, s.limit, s.delay), (8, 4, 2, Duration::ZERO));
        assert_eq!((s.reconnect_timeout, s.max_flood_wait), (Duration::from_secs(300), Duration::from_secs(600)));
        assert_eq!((s.cluster, s.progress), (Cluster::Production, ProgressMode::Auto));
    }

    #[test]
    fn the_order_is_flag_namespace_file() {
        let config = "threads = 7\nlimit = 3\ndelay = '2s'\ntest-dc = true\n[namespace.work]\nthreads = 9\ntest-dc = false\n";
        let s = resolve(config, &[]).expect("valid");
        assert_eq!((s.threads, s.limit, s.delay, s.cluster), (7, 3, Duration::from_secs(2), Cluster::PublicTest));
        let s = resolve(config, &["-n", "work"]).expect("valid");
        assert_eq!((s.threads, s.limit, s.cluster), (9, 3, Cluster::Production));
        let s = resolve(config, &["-n", "work", "-t", "11", "--sandbox", "box"]).expect("valid");
        assert_eq!((s.threads, s.limit, s.cluster), (11, 3, Cluster::Sandbox("box".into())));
    }

    #[test]
    fn mistakes_in_the_file_are_usage_errors_that_name_it() {
        for config in [
            "thread = 7",
            "threads = 'many'",
            "threads = 0",
            "delay = '2 fortnights'",
            "trace = 'everything'",
            "transport = 'pigeon'",
            "progress = 'loud'",
            "namespace = 3",
            "[namespace.default]\nns = 'x'",
            "[namespace.default]\nthread = 1",
            "not toml",
        ] {
            let error = resolve(config, &[]).expect_err(config);
            assert_eq!(error.code, crate::cli::exit::ExitCode::Usage, "{config}");
            assert!(error.what.starts_with("config.toml: "), "{config}: {}", error.what);
        }
    }

    #[test]
    fn the_passphrase_of_a_namespace_has_its_own_source() {
        let config = "passphrase-command = 'pass tdl'\n[namespace.work]\npassphrase-file = 'word'\n";
        let source = |args: &[&str]| {
            let PassphraseSource { file, command, .. } = resolve(config, args).expect("valid").passphrase;
            (file.map(|path| path.display().to_string()), command)
        };
        assert_eq!(source(&[]), (None, Some("pass tdl".to_owned())));
        assert_eq!(source(&["-n", "work"]), (Some("word".to_owned()), None));
        assert_eq!(source(&["-n", "work", "--passphrase-command", "x"]), (None, Some("x".to_owned())));
        assert!(resolve("passphrase = 'in the clear'", &[]).is_err(), "not in a file that others may read");
    }

    #[test]
    fn only_one_cluster_can_be_chosen() {
        assert!(resolve("", &["--sandbox", "x", "--test-dc"]).is_err());
        assert!(resolve("", &["--sandbox", "x", "--dc-config", "y"]).is_err());
        assert_eq!(resolve("test-dc = true", &["--dc-config", "y"]).expect("valid").cluster, Cluster::File("y".into()));
    }

    #[test]
    fn a_proxy_comes_from_the_flag_or_the_file_and_none_undoes_it() {
        let shown = |config: &str, args: &[&str]| {
            resolve(config, args).expect("valid").proxy.map_or_else(|| "direct".to_owned(), |proxy| proxy.to_string())
        };
        let config = "proxy = 'socks5://u:hunter2@a'\n[namespace.work]\nproxy = 'none'\n";
        assert_eq!(shown("", &[]), "direct");
        assert_eq!(shown(config, &[]), "socks5://u:***@a:1080");
        assert_eq!(shown(config, &["-n", "work"]), "direct");
        assert_eq!(shown(config, &["-n", "work", "--proxy", "http://b:8080"]), "http://b:8080");
        assert_eq!(shown(config, &["--proxy", "none"]), "direct");
    }

    #[test]
    fn a_wrong_proxy_is_a_usage_error_that_shows_no_password() {
        for (config, args) in [
            ("", &["--proxy", "socks5://u:hunter2@a:x"][..]),
            ("", &["--proxy", ""]),
            ("", &["--proxy", "pigeon://u:hunter2@a"]),
            ("proxy = 'socks5://u:hunter2@a:x'", &[]),
        ] {
            let error = resolve(config, args).expect_err("invalid");
            assert_eq!(error.code, crate::cli::exit::ExitCode::Usage);
            assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
        }
    }

    #[test]
    fn the_transport_has_to_fit_the_secret() {
        let plain = "mtproxy://00112233445566778899aabbccddeeff@a";
        let padded = "mtproxy://dd00112233445566778899aabbccddeeff@a";
        for (proxy, transport, fits) in [
            (plain, "auto", true),
            (plain, "obfuscated", true),
            (plain, "abridged", true),
            (plain, "obfuscated-intermediate", true),
            (plain, "padded", false),
            (plain, "full", false),
            (plain, "http", false),
            (plain, "ws", false),
            (padded, "auto", true),
            (padded, "padded", true),
            (padded, "abridged", false),
            (padded, "obfuscated-abridged", false),
            (padded, "full", false),
            (padded, "http", false),
            (padded, "ws", false),
            ("socks5://a", "full", true),
            ("socks5://a", "http", true),
        ] {
            let result = resolve("", &["--proxy", proxy, "--transport", transport]);
            assert_eq!(result.is_ok(), fits, "{proxy} {transport}");
            if let Err(error) = result {
                assert!(error.what.contains(transport) && !error.what.contains("0011"), "{}", error.what);
            }
        }
    }
}
