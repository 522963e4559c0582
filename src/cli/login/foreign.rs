//! `tdl login -T desktop` and `tdl session import`: in through another program's session, once, or to stay on its key with `--borrow`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::Arc,
};

use tdl::{
    account::{self, LoggedIn, LoginRequest, OwnersIdentity},
    client::{DeviceProfile, Identity, InvokeError, LayerPlan, Persistence},
    ids::DcId,
    store::{
        Borrowed, Namespace,
        foreign::{self, ForeignSession, Owner, Sessions, places},
    },
    tl::layers::bundled,
};
use zeroize::Zeroizing;

use super::prompts::Prompts;
use crate::cli::{
    context::{Context, has_login},
    exit::CliError,
    isolate,
    output::printable,
    prompt::{Question, ask},
};

/// What `-T desktop` is given.
pub(super) struct Given {
    pub(super) path: Option<PathBuf>,
    pub(super) passcode: Option<Zeroizing<String>>,
    /// A user id, or the account's name in the session.
    pub(super) account: Option<String>,
    pub(super) borrow: bool,
}

/// Finds the session, and logs in through it or moves in.
pub(super) async fn run(
    context: &Context,
    namespace: &Arc<Namespace>,
    given: Given,
    request: LoginRequest,
    prompts: &mut Prompts,
) -> Result<(LoggedIn, DcId), CliError> {
    let path = match given.path {
        Some(path) => path,
        None => installed()?,
    };
    let sessions = with_passcode(given.passcode, |passcode| foreign::read_path(&path, passcode)).await?;
    let entry = Entry { place: path.display().to_string(), sessions, account: given.account, borrow: given.borrow };
    enter(context, namespace, entry, request, prompts).await
}

/// Sessions that were read, and what is to be done with one of them.
pub(super) struct Entry {
    /// Where they are, for messages.
    pub(super) place: String,
    pub(super) sessions: Sessions,
    /// A user id, or the account's name there.
    pub(super) account: Option<String>,
    pub(super) borrow: bool,
}

/// Chooses a session, and logs in through it or moves in.
pub(super) async fn enter(
    context: &Context,
    namespace: &Arc<Namespace>,
    entry: Entry,
    request: LoginRequest,
    prompts: &mut Prompts,
) -> Result<(LoggedIn, DcId), CliError> {
    let Entry { place, sessions, account, borrow: borrows } = entry;
    let (table, _) = context.cluster()?;
    for (name, error) in &sessions.unreadable {
        context.output.note(&format!("account '{}' of {place} cannot be used: {error}", printable(name)));
    }
    let session = choose(context, &place, sessions.sessions, account.as_deref()).await?;
    if let Some(test) = session.test.filter(|test| *test != table.test) {
        let what = if test { "Telegram's test servers" } else { "Telegram itself, not its test servers" };
        return Err(CliError::usage(format!("the login at {place} belongs to {what}"))
            .advise("leave out --test-dc, or give it: it has to fit"));
    }
    let request = LoginRequest { phone: None, user_id: session.user_id, ..request };
    if borrows {
        borrow(context, namespace, &session, request).await
    } else {
        isolated(context, namespace, &session, request, prompts).await
    }
}

/// Logs in with a key of our own, which the session lets in.
pub(crate) async fn isolated(
    context: &Context,
    namespace: &Arc<Namespace>,
    session: &ForeignSession,
    request: LoginRequest,
    prompts: &mut Prompts,
) -> Result<(LoggedIn, DcId), CliError> {
    let once = async |owner, request, prompts: &mut Prompts| {
        let foreign = context.lent_client(session, owner).await?;
        let result = isolate::into_own(context, &foreign, namespace, session.home_dc, request, prompts).await;
        // Its key is wiped with it.
        foreign.close().await;
        result
    };
    let owner = owner(session);
    let known = owner.is_some();
    let (mut outcome, mut dc) = once(owner, request.clone(), prompts).await?;
    if !known && matches!(&outcome, Err(account::Error::ForeignRefused { name }) if name == NOT_INTRODUCED) {
        (outcome, dc) = once(Some(guessed(context, session)), request, prompts).await?;
    }
    Ok((outcome?, dc))
}

/// What the server says of a key under which nobody has introduced himself: then there is no record that an introduction could change, and one is
/// needed. So it is with programs that use their key for temporary ones only.
const NOT_INTRODUCED: &str = "CONNECTION_NOT_INITED";

/// What comes nearest to how the session's owner introduces itself.
fn guessed(context: &Context, session: &ForeignSession) -> OwnersIdentity {
    let layer = context.settings.layer.unwrap_or(LayerPlan::COMPILED.layer);
    let base = Identity { device: DeviceProfile::default(), layer, api_id: context.settings.app_id.unwrap_or(1) };
    let Identity { device, layer, api_id } = session.identity(&base);
    let layer = if bundled().contains(&layer) { layer } else { LayerPlan::COMPILED.layer };
    OwnersIdentity { device, layer, api_id }
}

/// Moves in on the session's key.
pub(crate) async fn borrow(
    context: &Context,
    namespace: &Arc<Namespace>,
    session: &ForeignSession,
    request: LoginRequest,
) -> Result<(LoggedIn, DcId), CliError> {
    let program = session.format.program();
    if has_login(namespace)? {
        if !request.force {
            return Err(CliError::failed(format!("namespace '{}' is logged in already", namespace.name()))
                .advise("choose another namespace with -n, or replace the login with --force"));
        }
        let client = context.connect(namespace).await?;
        let ended = account::logout(&client).await;
        client.close().await;
        ended?;
    }
    context.output.alert(&format!(
        "this namespace will live on the key of {program}: if both are used from two addresses at once, Telegram ends the login for both; \
         `tdl logout` is refused here, `tdl watch` too, and what {program} ends is ended here. `tdl session isolate` gets a key of its own"
    ));
    let known = owner(session);
    let mut borrowed =
        Borrowed { program: program.to_owned(), path: session.path.clone(), introduces: known.is_some(), since: request.now };
    // Before the key: it must never be taken for one of our own.
    namespace.set_borrowed(&borrowed)?;
    let (_, cluster) = context.cluster()?;
    namespace.bind_cluster(&cluster)?;
    let OwnersIdentity { device, layer, api_id } = known.unwrap_or_else(|| guessed(context, session));
    let mut identity = Identity { device, layer, api_id };
    session.fill(&**namespace, &identity, request.now)?;
    let ask = async || {
        let client = context.connect(namespace).await?;
        let asked = account::whoami(&client, request.now).await;
        let dc = client.home_dc();
        client.close().await;
        Ok::<_, CliError>((asked, dc))
    };
    let (mut asked, mut dc) = ask().await?;
    if !borrowed.introduces
        && matches!(&asked, Err(account::Error::Invoke(InvokeError::Rpc(error))) if error.name == NOT_INTRODUCED)
    {
        borrowed.introduces = true;
        namespace.set_borrowed(&borrowed)?;
        (asked, dc) = ask().await?;
    }
    // The owner has named a layer, and we do not know which: it is the newest in which the answer can be read.
    let mut others = bundled().iter().rev().filter(|other| **other != layer);
    while !borrowed.introduces && context.settings.layer.is_none() && is_of_another_layer(&asked) {
        let Some(other) = others.next() else { break };
        identity.layer = *other;
        namespace.save_identity(&identity)?;
        (asked, dc) = ask().await?;
    }
    if identity.layer != layer && asked.is_ok() {
        context
            .output
            .note(&format!("{program} speaks layer {}, or one like it; --layer reads answers in another", identity.layer));
    }
    match asked {
        Ok(me) => Ok((LoggedIn::In(me), dc)),
        Err(error) => {
            // Nothing half-made stays.
            namespace.forget_all()?;
            Err(match error {
                account::Error::Invoke(InvokeError::Unauthorized(reason)) => account::Error::ForeignEnded(reason),
                other => other,
            }
            .into())
        }
    }
}

/// Whether an answer could not be read, as those of another layer cannot.
fn is_of_another_layer<T>(asked: &Result<T, account::Error>) -> bool {
    matches!(asked, Err(account::Error::Invoke(InvokeError::Decode { .. } | InvokeError::Layer { .. })))
}

/// How the session's owner introduces itself, if all of that is known, and we can speak its layer.
fn owner(session: &ForeignSession) -> Option<OwnersIdentity> {
    let Owner { device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, layer } =
        session.owner.clone();
    let device = DeviceProfile {
        name: session.format.program().to_owned(),
        device_model: device_model?,
        system_version: system_version?,
        app_version: app_version?,
        system_lang_code: system_lang_code?,
        lang_pack: lang_pack?,
        lang_code: lang_code?,
        // No format tells of them.
        params: None,
    };
    let layer = layer.filter(|layer| bundled().contains(layer))?;
    Some(OwnersIdentity { device, layer, api_id: session.api_id? })
}

/// Where Telegram Desktop keeps its data on this machine.
fn installed() -> Result<PathBuf, CliError> {
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf()).unwrap_or_default();
    let found = places::found(places::places(places::System::HERE, &home, &|name| std::env::var_os(name)));
    match found.as_slice() {
        [one] => Ok(one.directory.clone()),
        [] => Err(CliError::usage("no data of Telegram Desktop was found on this machine")
            .advise("say where its tdata is, with -d; or use `tdl login -T qr`")),
        several => {
            let list: Vec<String> =
                several.iter().map(|place| format!("  {} ({})", place.directory.display(), place.build)).collect();
            Err(CliError::usage(format!("Telegram Desktop keeps data in several places:\n{}", list.join("\n")))
                .advise("choose one with -d"))
        }
    }
}

/// Reads sessions, and asks for their passcode if they have one.
pub(super) async fn with_passcode(
    passcode: Option<Zeroizing<String>>,
    read: impl Fn(&[u8]) -> Result<Sessions, foreign::Error>,
) -> Result<Sessions, CliError> {
    let given = passcode.is_some();
    let passcode = passcode.unwrap_or_default();
    match read(passcode.as_bytes()) {
        Err(foreign::Error::PasscodeNeeded) if !given => {
            let question = Question {
                text: "Local passcode of Telegram Desktop:".into(),
                help: None,
                flag: "--passcode",
                env: "TDL_PASSCODE",
                secret: true,
            };
            let passcode = Zeroizing::new(ask(question).await?);
            Ok(read(passcode.as_bytes())?)
        }
        other => Ok(other?),
    }
}

/// The account that is meant.
async fn choose(
    context: &Context,
    place: &str,
    mut sessions: Vec<ForeignSession>,
    wanted: Option<&str>,
) -> Result<ForeignSession, CliError> {
    let names = |session: &ForeignSession, wanted: &str| {
        session.name.as_deref() == Some(wanted) || session.user_id.is_some_and(|id| id.to_string() == wanted)
    };
    let list: Vec<String> = sessions.iter().map(|session| format!("  {}", printable(&session.to_string()))).collect();
    let advice = "choose one with --account and its user id or its name";
    let at = match wanted {
        None if sessions.len() == 1 => Some(0),
        None if io::stdin().is_terminal() => {
            context.output.alert(&format!("there are several accounts:\n{}", list.join("\n")));
            let question = Question {
                text: "Account (user id or name):".into(),
                help: None,
                flag: "--account",
                env: "TDL_ACCOUNT",
                secret: false,
            };
            let answer = ask(question).await?;
            sessions.iter().position(|session| names(session, &answer))
        }
        None => {
            let what = format!("there are several accounts in {place}:\n{}", list.join("\n"));
            return Err(CliError::usage(what).advise(advice));
        }
        Some(wanted) => sessions.iter().position(|session| names(session, wanted)),
    };
    match at {
        Some(at) => Ok(sessions.swap_remove(at)),
        None => Err(CliError::usage(format!("no such account in {place}; there are\n{}", list.join("\n"))).advise(advice)),
    }
}
