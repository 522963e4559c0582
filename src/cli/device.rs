//! `tdl device`: what a namespace says of the device.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tdl::{
    client::{DeviceProfile, Persistence},
    store::Namespace,
};

use super::{
    context::{Context, unix_now},
    exit::{CliError, ExitCode},
    output::printable,
};

/// The commands under `tdl device`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// List the profiles that this namespace can use, and which one it does
    #[command(after_help = "Examples:\n  tdl device ls\n  tdl device ls -n work --json")]
    Ls,
    /// Show what is said to the server: of the profile in use, or of another one
    #[command(after_help = "Examples:\n  tdl device show\n  tdl device show lab --json")]
    Show(ShowArgs),
    /// Choose a profile for this namespace, or make one and choose it
    #[command(after_help = "\
Examples:
  tdl device set lab --model 'Test bench' --params '{\"tz_offset\": 3600}'
  tdl device set tdl                      back to what is true of this machine
  tdl --device lab whoami                 for one command only

The next command that connects introduces itself so, and the server changes what it has on record for this login: Settings, Devices in an official app
then show the new values, at the same place. Nobody is logged out. What is not given stays as it is in the profile, or else as in the
built-in one, which tells the truth. Say what is true: the server's operators do not like programs that pass for others.")]
    Set(SetArgs),
    /// Remove a profile that was made for this namespace
    #[command(after_help = "Example:\n  tdl device rm lab")]
    Rm(RmArgs),
}

/// The arguments of `tdl device show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The profile [default: the one in use]
    #[arg(value_name = "PROFILE")]
    name: Option<String>,
}

/// The arguments of `tdl device rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: String,
}

/// The arguments of `tdl device set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The profile
    #[arg(value_name = "PROFILE")]
    name: String,

    /// The device's model
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,

    /// The operating system and its version
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// The application and its version
    #[arg(long, value_name = "TEXT")]
    app: Option<String>,

    /// The system's language, such as de-DE
    #[arg(long, value_name = "CODE")]
    system_lang: Option<String>,

    /// The interface's language, such as de
    #[arg(long, value_name = "CODE")]
    lang: Option<String>,

    /// The language pack; empty for none
    #[arg(long, value_name = "NAME")]
    lang_pack: Option<String>,

    /// Further parameters, as JSON; null for none
    #[arg(long, value_name = "JSON")]
    params: Option<String>,
}

impl SetArgs {
    fn changes_nothing(&self) -> bool {
        let texts = [&self.model, &self.system, &self.app, &self.system_lang, &self.lang, &self.lang_pack, &self.params];
        texts.iter().all(|text| text.is_none())
    }

    /// The profile with what was given in it.
    fn apply(&self, mut profile: DeviceProfile) -> Result<DeviceProfile, CliError> {
        profile.name.clone_from(&self.name);
        for (given, field) in [
            (&self.model, &mut profile.device_model),
            (&self.system, &mut profile.system_version),
            (&self.app, &mut profile.app_version),
            (&self.system_lang, &mut profile.system_lang_code),
            (&self.lang, &mut profile.lang_code),
            (&self.lang_pack, &mut profile.lang_pack),
        ] {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        if let Some(text) = &self.params {
            let value: Value = serde_json::from_str(text).map_err(|e| {
                CliError::usage(format!("--params is not JSON: {e}")).advise("write it like '{\"tz_offset\": 3600}'")
            })?;
            profile.params = Some(value).filter(|value| !value.is_null());
        }
        profile
            .check()
            .map_err(|e| CliError::usage(e.to_string()).advise("`tdl device set --help` shows what a profile has"))?;
        Ok(profile)
    }
}

pub(crate) fn run(context: &Context, command: &DeviceCommand) -> Result<ExitCode, CliError> {
    match command {
        DeviceCommand::Ls => ls(context),
        DeviceCommand::Show(args) => show(context, args.name.as_deref()),
        DeviceCommand::Set(args) => set(context, args),
        DeviceCommand::Rm(args) => rm(context, &args.name),
    }
}

/// The profile that a connection of this namespace uses: asked for, chosen, told before, or built in. In that order.
pub(crate) fn in_use(asked: Option<&str>, namespace: Option<&Namespace>) -> Result<DeviceProfile, CliError> {
    let Some(namespace) = namespace else {
        return match asked {
            None => Ok(DeviceProfile::default()),
            Some(name) => DeviceProfile::built_in(name).ok_or_else(|| {
                CliError::usage(format!("there is no device profile '{}'", printable(name)))
                    .advise("`tdl device ls` lists the profiles there are; `tdl device set` makes one")
            }),
        };
    };
    if let Some(name) = asked {
        return namespace.device(name).map_err(|error| CliError { code: ExitCode::Usage, ..error.into() });
    }
    if let Some(name) = namespace.chosen_device()? {
        return Ok(namespace.device(&name)?);
    }
    Ok(match namespace.identity()?.map(|identity| identity.device) {
        // A truth of last year is none: the built-in profile follows the system and this program.
        Some(told) if told.is_built_in() => DeviceProfile::built_in(&told.name).unwrap_or(told),
        Some(told) => told,
        None => DeviceProfile::default(),
    })
}

fn ls(context: &Context) -> Result<ExitCode, CliError> {
    let namespace = context.namespace_if_any()?;
    let used = in_use(context.settings.device.as_deref(), namespace.as_deref())?;
    let mut profiles: Vec<DeviceProfile> = DeviceProfile::BUILT_IN.into_iter().filter_map(DeviceProfile::built_in).collect();
    if let Some(namespace) = &namespace {
        profiles.extend(namespace.devices()?);
    }
    if !profiles.iter().any(|profile| profile.name == used.name) {
        profiles.push(used.clone());
    }
    if context.output.json {
        let list: Vec<Value> = profiles.iter().map(|profile| to_json(profile, profile.name == used.name)).collect();
        context.output.document(&list)?;
    } else {
        let rows: Vec<Vec<String>> = profiles
            .iter()
            .map(|p| {
                let mark = if p.name == used.name { "*" } else { "" };
                let cell = |text: &str| printable(text);
                vec![mark.to_owned(), cell(&p.name), cell(&p.device_model), cell(&p.system_version), cell(&p.app_version)]
            })
            .collect();
        context.output.table(&["", "NAME", "MODEL", "SYSTEM", "APP"], &rows)?;
    }
    Ok(ExitCode::Done)
}

fn show(context: &Context, name: Option<&str>) -> Result<ExitCode, CliError> {
    let namespace = context.namespace_if_any()?;
    let used = in_use(context.settings.device.as_deref(), namespace.as_deref())?;
    let profile = match name {
        Some(name) => in_use(Some(name), namespace.as_deref())?,
        None => used.clone(),
    };
    match context.output.json {
        true => context.output.document(&to_json(&profile, profile == used))?,
        false => context.output.key_values(&pairs(&profile))?,
    }
    Ok(ExitCode::Done)
}

fn set(context: &Context, args: &SetArgs) -> Result<ExitCode, CliError> {
    // No key is needed for it, and so no passphrase.
    let namespace = context.home.open(&context.settings.ns, unix_now())?;
    if let Some(borrowed) = namespace.borrowed()? {
        let program = printable(&borrowed.program);
        return Err(CliError::failed(format!(
            "namespace '{}' lives on the key of {program}: its device is kept",
            namespace.name()
        ))
        .advise("get a key of your own first: `tdl session isolate`"));
    }
    let told = namespace.identity()?.map(|identity| identity.device);
    if !args.changes_nothing() {
        let base = namespace.devices()?.into_iter().find(|profile| profile.name == args.name).unwrap_or_default();
        namespace.save_device(&args.apply(base)?)?;
    }
    namespace.choose_device(&args.name).map_err(|error| CliError { code: ExitCode::Usage, ..error.into() })?;
    let profile = namespace.device(&args.name)?;
    if context.output.json {
        context.output.document(&to_json(&profile, true))?;
    }
    let name = namespace.name();
    context.output.note(&match told {
        Some(told) if told == profile => format!("namespace '{name}' introduces itself as '{}', as before", profile.name),
        Some(told) => format!(
            "namespace '{name}' introduces itself as '{}' from now on, not as '{}': the next command that connects changes what the server has on \
             record for this login (Settings, Devices)",
            printable(&profile.name),
            printable(&told.name)
        ),
        None => format!("namespace '{name}' will introduce itself as '{}' when it logs in", printable(&profile.name)),
    });
    Ok(ExitCode::Done)
}

fn rm(context: &Context, name: &str) -> Result<ExitCode, CliError> {
    let namespace = context.namespace_if_any()?.ok_or_else(|| CliError::not_logged_in(&context.settings.ns))?;
    if DeviceProfile::built_in(name).is_some() {
        return Err(CliError::usage(format!("'{name}' is built in")).advise("`tdl device ls` lists the profiles there are"));
    }
    if !namespace.remove_device(name)? {
        let namespace = namespace.name().to_string();
        return Err(tdl::store::Error::NoSuchDevice { namespace, name: printable(name) }.into());
    }
    context.output.note(&format!("removed the device profile '{}'", printable(name)));
    Ok(ExitCode::Done)
}

/// A profile as a JSON object.
pub(crate) fn to_json(profile: &DeviceProfile, used: bool) -> Value {
    json!({
        "profile": profile.name,
        "in_use": used,
        "model": profile.device_model,
        "system": profile.system_version,
        "app_version": profile.app_version,
        "system_lang": profile.system_lang_code,
        "lang": profile.lang_code,
        "lang_pack": profile.lang_pack,
        "params": profile.params,
    })
}

fn pairs(profile: &DeviceProfile) -> Vec<(&'static str, String)> {
    vec![
        ("profile", printable(&profile.name)),
        ("model", printable(&profile.device_model)),
        ("system", printable(&profile.system_version)),
        ("app", printable(&profile.app_version)),
        ("system language", printable(&profile.system_lang_code)),
        ("language", printable(&profile.lang_code)),
        ("language pack", if profile.lang_pack.is_empty() { "-".to_owned() } else { printable(&profile.lang_pack) }),
        ("params", profile.params.as_ref().map_or_else(|| "-".to_owned(), |params| printable(&params.to_string()))),
    ]
}
