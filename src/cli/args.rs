//! What can be typed: the global flags and the commands. `config.toml` and the environment are applied in `settings`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use tdl::{client::PfsPolicy, store::NamespaceName, trace::LayerSet};

use super::{
    backup, bridge, call, chat, completion, dc, demo, device, dl, duration, login, logout, ns, sandbox, session, tl, trace,
    trace_command, up, watch, whoami,
};

const AFTER_HELP: &str = "\
First steps:
  tdl login                               log in: shows a code to scan with Telegram on your phone
  tdl login -T code                       log in with your phone number
  tdl whoami                              who is logged in
Without an account, against a Telegram of your own on this machine:
  tdl sandbox up --dir box                in one terminal; stop it with Ctrl-C
  tdl --sandbox box login -T code --phone 9996621234 --code 22222
                                          in another; accounts cost nothing there";

/// A from-scratch Telegram client: files, chats, and the protocol itself.
#[derive(Debug, Parser)]
#[command(name = "tdl", version, max_term_width = 110, after_help = AFTER_HELP)]
#[command(
    propagate_version = false,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in and keep the authorization in the namespace
    Login(login::LoginArgs),
    /// End the authorization on the server, then remove it here
    Logout(logout::LogoutArgs),
    /// Show who is logged in
    Whoami(whoami::WhoamiArgs),
    /// Upload files and directories to a chat
    #[command(visible_alias = "upload")]
    Up(up::UpArgs),
    /// Download the files of messages
    #[command(visible_alias = "download")]
    Dl(dl::DlArgs),
    /// List chats, and export the messages of one
    #[command(subcommand)]
    Chat(chat::ChatCommand),
    /// Print what happens in your chats as it happens, without gaps, one JSON object a line
    Watch(watch::WatchArgs),
    /// Watch it work on a cluster of its own: nothing leaves this machine
    Demo(demo::DemoArgs),
    /// List, rename, remove and encrypt namespaces: the local slots that each hold one authorization
    #[command(subcommand)]
    Ns(ns::NsCommand),
    /// Inspect the authorization that this namespace holds
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Show and change what this namespace says of the device
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Save namespaces in one file, encrypted when there is a passphrase
    Backup(backup::BackupArgs),
    /// Bring namespaces back from a backup
    Recover(backup::RecoverArgs),
    /// Carry namespaces to another home
    Migrate(backup::MigrateArgs),
    /// Run a Telegram of your own on this machine, for trying things out
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    /// Stand between another client and a local cluster: trace both sides, change what you like
    Bridge(bridge::BridgeArgs),
    /// Look into the TL schema: list, show and import definitions
    #[command(subcommand)]
    Tl(tl::TlCommand),
    /// Call any method of the API: JSON in, JSON out
    Call(call::CallArgs),
    /// Look at the data centres: reachability, round trips, the key exchange step by step, their configuration
    #[command(subcommand)]
    Dc(dc::DcCommand),
    /// Look into what --trace-file wrote, or into a capture of the wire: print it, open it, play it again, make a page of it
    #[command(subcommand)]
    Trace(trace_command::TraceCommand),
    /// Print a completion script for your shell
    Completion(completion::CompletionArgs),
}

/// Flags that every command takes. Each can also come from the environment or from config.toml in the home.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The namespace to use: one local slot for one authorization [default: default]
    #[arg(short, long, global = true, env = "TDL_NS", value_name = "NAME")]
    pub(crate) ns: Option<NamespaceName>,

    /// The directory for namespaces, unfinished transfers and config.toml [default: the platform's data directory]
    #[arg(long, global = true, env = "TDL_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,

    /// Talk to the local cluster that `tdl sandbox up --dir DIR` runs; the home becomes DIR/home unless --home is given
    #[arg(long, global = true, env = "TDL_SANDBOX", value_name = "DIR")]
    pub(crate) sandbox: Option<PathBuf>,

    /// Addresses and RSA keys of the data centres, as JSON (the format of a sandbox's cluster.json) [default: Telegram's]
    #[arg(long, global = true, env = "TDL_DC_CONFIG", value_name = "FILE")]
    pub(crate) dc_config: Option<PathBuf>,

    /// Use Telegram's public test data centres
    #[arg(long, global = true, env = "TDL_TEST_DC", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) test_dc: bool,

    /// Your application's id, from https://my.telegram.org/apps (the sandbox needs none)
    #[arg(long, global = true, env = "TDL_APP_ID", value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) app_id: Option<i32>,

    /// Your application's hash, from the same page
    #[arg(long, global = true, env = "TDL_APP_HASH", value_name = "HASH", hide_env_values = true)]
    pub(crate) app_hash: Option<String>,

    /// Go through a proxy: socks5://, socks5h://, http:// or https:// with [USER:PASSWORD@]HOST[:PORT], mtproxy://SECRET@HOST:PORT,
    /// or a tg://proxy or t.me/proxy link; `none` for none. SSL_CERT_FILE names certificates to trust beside the public ones
    #[arg(long, global = true, env = "TDL_PROXY", value_name = "URL", hide_env_values = true)]
    pub(crate) proxy: Option<String>,

    /// How bytes travel on the connection; `http`, `https`, `ws` and `wss` are for networks that let nothing but the web pass [default: auto]
    #[arg(long, global = true, env = "TDL_TRANSPORT", value_name = "KIND")]
    pub(crate) transport: Option<TransportKind>,

    /// How to introduce this device to the server: a profile that `tdl device ls` lists [default: the namespace's own, or tdl]
    #[arg(long, global = true, env = "TDL_DEVICE", value_name = "NAME")]
    pub(crate) device: Option<String>,

    /// The API layer to speak, and the one that `tdl tl` looks into; one that is not bundled is refused with the list of those that are
    /// [default: what the namespace spoke last, or what this program was built with]
    #[arg(long, global = true, env = "TDL_LAYER", value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) layer: Option<i32>,

    /// Try IPv6 addresses first
    #[arg(long, global = true, env = "TDL_IPV6", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) ipv6: bool,

    /// Forward secrecy: encrypt with temporary keys that are renewed as they end, so that what was said stays secret even from whoever
    /// gets hold of the authorization later. `off` encrypts with the authorization's own key [default: on]
    #[arg(
        long,
        global = true,
        env = "TDL_PFS",
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on"
    )]
    pub(crate) pfs: Option<Switch>,

    /// How long a temporary key lasts, 4s to 168h [default: 24h]
    #[arg(long, global = true, env = "TDL_PFS_LIFETIME", value_name = "TIME", value_parser = pfs_lifetime, hide_short_help = true)]
    pub(crate) pfs_lifetime: Option<Duration>,

    /// The most connections to one data centre, for transfers [default: 8]
    #[arg(long, global = true, env = "TDL_POOL", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) pool: Option<u16>,

    /// How many parts of one file travel at once [default: 4]
    #[arg(short, long, global = true, env = "TDL_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,

    /// How many files travel at once [default: 2]
    #[arg(short, long, global = true, env = "TDL_LIMIT", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) limit: Option<u16>,

    /// Pause before each item after the first, such as 2s [default: 0]
    #[arg(long, global = true, env = "TDL_DELAY", value_name = "TIME", value_parser = duration::parse)]
    pub(crate) delay: Option<Duration>,

    /// How long to keep trying when the connection is lost; 0 tries for ever [default: 5m]
    #[arg(long, global = true, env = "TDL_RECONNECT_TIMEOUT", value_name = "TIME", value_parser = duration::parse)]
    pub(crate) reconnect_timeout: Option<Duration>,

    /// The longest pause demanded by the server that is waited out; a longer one ends the command with code 6 [default: 10m]
    #[arg(long, global = true, env = "TDL_MAX_FLOOD_WAIT", value_name = "TIME", value_parser = duration::parse)]
    pub(crate) max_flood_wait: Option<Duration>,

    /// Print what goes over the wire, one line an event, to stderr. WHAT picks layers: transport, crypto, mtproto, rpc, tl, updates, all
    /// [default: mtproto,rpc]. With -v acknowledgements as well
    #[arg(
        long,
        global = true,
        env = "TDL_TRACE",
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "mtproto,rpc",
        value_parser = trace::layers
    )]
    pub(crate) trace: Option<LayerSet>,

    /// Write the trace to FILE instead of stderr (readable by you alone): one JSON object a line if its name ends in .jsonl, packets for
    /// Wireshark if in .pcapng (of all layers; see `tdl trace dissector`), otherwise the lines that --trace prints. No key, phone number,
    /// code or text is in it unless --trace-secrets is given
    #[arg(long, global = true, env = "TDL_TRACE_FILE", value_name = "FILE")]
    pub(crate) trace_file: Option<PathBuf>,

    /// Show what the trace hides: `texts` are messages and names; `all` is everything, passwords, codes and tokens too, and makes a
    /// .jsonl file a recording that `tdl trace replay` plays again. Such a file holds your keys: give it to nobody [default: nothing]
    #[arg(
        long,
        global = true,
        env = "TDL_TRACE_SECRETS",
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub(crate) trace_secrets: Option<Secrets>,

    /// Write the auth keys in use to FILE, so that `tdl trace decode` can open a capture of the traffic. Dangerous: whoever has that file
    /// can read the traffic and use the account. With `trace decode`: the file to read
    #[arg(long, global = true, env = "TDL_KEYLOG", value_name = "FILE", hide_short_help = true)]
    pub(crate) keylog: Option<PathBuf>,

    /// A file whose first line is the passphrase of an encrypted namespace or backup; TDL_PASSPHRASE can hold the passphrase itself
    #[arg(long, global = true, env = "TDL_PASSPHRASE_FILE", value_name = "FILE", hide_short_help = true)]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// A command that prints that passphrase, such as `secret-tool lookup tdl default` or `pass tdl`: so it can stay in the system's keyring
    #[arg(long, global = true, env = "TDL_PASSPHRASE_COMMAND", value_name = "COMMAND", hide_short_help = true)]
    pub(crate) passphrase_command: Option<String>,

    /// Print JSON on stdout: one document, or one object a line where the command streams
    #[arg(long, global = true, env = "TDL_JSON", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,

    /// How to show progress, on stderr [default: auto]
    #[arg(long, global = true, env = "TDL_PROGRESS", value_name = "MODE")]
    pub(crate) progress: Option<ProgressMode>,

    /// Say nothing but errors, and the pauses that the server demands
    #[arg(short, long, global = true, env = "TDL_QUIET", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,

    /// Say more about what is being done
    #[arg(short, long, global = true, env = "TDL_VERBOSE", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) verbose: bool,
}

/// What a trace shows of what it hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Secrets {
    /// Nothing
    None,
    /// What people write and what they are called
    Texts,
    /// Everything
    All,
}

impl Secrets {
    pub(crate) fn shown(self) -> tdl::debug::Shown {
        match self {
            Self::None => tdl::debug::Shown::Public,
            Self::Texts => tdl::debug::Shown::Texts,
            Self::All => tdl::debug::Shown::Everything,
        }
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// A lifetime that temporary keys can have.
pub(crate) fn pfs_lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration::parse(text).map_err(|e| e.to_string())?;
    if (PfsPolicy::SHORTEST..=PfsPolicy::LONGEST).contains(&lifetime) {
        Ok(lifetime)
    } else {
        Err("a temporary key lasts from 4s to 168h".to_owned())
    }
}

/// How bytes travel on the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportKind {
    /// What works best in most places: obfuscated padded
    #[default]
    Auto,
    /// The shortest frames
    Abridged,
    /// Frames with four bytes of length
    Intermediate,
    /// Intermediate with random padding
    Padded,
    /// Numbered frames with a checksum
    Full,
    /// Padded, looking like random bytes
    Obfuscated,
    /// Abridged, looking like random bytes
    ObfuscatedAbridged,
    /// Intermediate, looking like random bytes
    ObfuscatedIntermediate,
    /// Full, looking like random bytes
    ObfuscatedFull,
    /// Requests and answers of HTTP, to port 80 of the public servers
    Http,
    /// The same inside TLS, to port 443 of the public servers' web hosts
    Https,
    /// Obfuscated padded inside a WebSocket, to port 80 of the public servers
    Ws,
    /// The same inside TLS, to port 443 of the public servers' web hosts
    Wss,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// Bars
    Bar,
    /// A line now and then
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}
