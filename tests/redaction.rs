//! Full traces of every login flow, of both sides, searched for the secrets that were used: none is in them. The same run with everything
//! shown has them all, so the search does find what is there.
#![cfg(feature = "store")]
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tdl::account::{
    self, CodeAnswer, CodeSent, LinkDisplay, LoginLink, LoginPrompts, LoginRequest, LoginSignals, Name, PasswordAsked,
    PromptError,
};
use tdl::client::{Client, ClientConfig, DcTable, MemoryPersistence, Persistence, PfsPolicy};
use tdl::debug::background::Jsonl;
use tdl::debug::jsonl::{self, Header, Line};
use tdl::debug::replay::Replay;
use tdl::debug::{Background, Human, Plan, Shown, Style, Tee, WhenFull, hex};
use tdl::ids::DcId;
use tdl::sandbox::operator::{Login, NewBot, NewUser};
use tdl::sandbox::{Cluster, Config};
use tdl::tl::api::{enums, functions as f, types};
use tdl::trace::call::Call;
use tdl::trace::{Collector, Event, Layer, LayerSet, Observer, Tracer};

const PHONE: &str = "9996631234";
const CODE: &str = "33333";
const WRONG_CODE: &str = "13579";
const FIRST_NAME: &str = "Wilhelmina";
const LAST_NAME: &str = "Quxington";
const API_HASH: &str = "feedfacecafebeef0123456789abcdef";
const OTHER_PHONE: &str = "9996631235";
const PASSWORD: &str = "correct horse battery";
const HINT: &str = "the animal with the power supply";
const TEXT: &str = "the words of a private message";
const CONTENT: &str = "what the file contains, again and again; ";

/// A writer that can be read.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every sink that there is, and what knows the secrets.
struct Sinks {
    human: Memory,
    files: Vec<(&'static str, PathBuf, Arc<Background>)>,
    truth: Arc<Collector>,
    tracer: Tracer,
}

impl Sinks {
    fn new(dir: &Path) -> Self {
        let human = Memory::default();
        let lines = Style { layers: LayerSet::ALL, acks: true, ..Style::default() };
        let truth = Collector::of(LayerSet::NONE.with(Layer::Tl).with(Layer::Core));
        let mut all: Vec<Arc<dyn Observer>> = vec![Arc::new(Human::new(human.clone(), lines)), truth.clone()];
        let mut files = Vec::new();
        let names = [("log", Shown::Public), ("jsonl", Shown::Public), ("texts", Shown::Texts), ("all", Shown::Everything)];
        for (name, shown) in names {
            let path = dir.join(format!("trace.{name}"));
            let file = fs::File::create(&path).unwrap();
            let layers = LayerSet::ALL.with(Layer::Core);
            let plan = Plan { layers, shown, when_full: WhenFull::Wait };
            let sink = match name {
                "log" => Background::spawn(file, Style { shown, ..lines }, plan),
                _ => Background::spawn(file, Jsonl { header: Header::new(Duration::ZERO, layers, shown) }, plan),
            };
            let sink = sink.unwrap();
            all.push(sink.clone());
            files.push((name, path, sink));
        }
        let tracer = Tracer::new(Arc::new(Tee(all)));
        Self { human, files, truth, tracer }
    }

    /// What was written, by the name of the sink.
    fn texts(&self) -> Vec<(&'static str, String)> {
        let human = String::from_utf8(self.human.0.lock().unwrap().clone()).unwrap();
        let files = self.files.iter().map(|(name, path, sink)| {
            let summary = sink.close();
            assert!(summary.lost == 0 && summary.error.is_none());
            (*name, fs::read_to_string(path).unwrap())
        });
        [("human", human)].into_iter().chain(files).collect()
    }
}

/// Answers of somebody who mistypes the code at first.
struct Person {
    wrong: u32,
    phone: &'static str,
    /// Where login links go.
    links: Option<tokio::sync::mpsc::UnboundedSender<Bytes>>,
}

impl Person {
    fn new(wrong: u32) -> Self {
        Self { wrong, phone: PHONE, links: None }
    }
}

impl LinkDisplay for Person {
    fn show(&mut self, link: &LoginLink) -> Result<(), PromptError> {
        let token = LoginLink::token_of(&link.url).expect("a link").into();
        Ok(self.links.as_ref().expect("somebody to open it").send(token)?)
    }
}

impl LoginPrompts for Person {
    async fn phone(&mut self) -> Result<String, PromptError> {
        Ok(format!("+{}", self.phone))
    }

    async fn code(&mut self, _sent: &CodeSent, wrong: u32) -> Result<CodeAnswer, PromptError> {
        Ok(CodeAnswer::Code(if wrong < self.wrong { WRONG_CODE } else { CODE }.to_owned()))
    }

    async fn name(&mut self, _terms: Option<&str>) -> Result<Name, PromptError> {
        Ok(Name { first: FIRST_NAME.to_owned(), last: LAST_NAME.to_owned() })
    }

    async fn password(&mut self, asked: &PasswordAsked) -> Result<zeroize::Zeroizing<String>, PromptError> {
        let password = if asked.wrong == 0 { "another one" } else { PASSWORD };
        Ok(password.to_owned().into())
    }
}

async fn login(client: &Client, wrong: u32) -> account::LoggedIn {
    account::login_code(client, &mut Person::new(wrong), request()).await.unwrap()
}

fn request() -> LoginRequest {
    LoginRequest { now: 1_700_000_000, ..LoginRequest::default() }
}

/// A password, mistyped at first; a link that the session which is in then opens; a bot. What is secret about them.
async fn other_ways_in(cluster: &Cluster, table: &DcTable, tracer: &Tracer) -> Vec<Secret> {
    let operator = cluster.operator().unwrap();
    let login = Login { password: Some(PASSWORD.into()), hint: HINT.into(), ..Login::default() };
    let user = NewUser { phone: OTHER_PHONE.into(), first_name: Some(FIRST_NAME.into()), login, ..NewUser::default() };
    operator.add_user(&user).unwrap();
    let (_, bot_token) = operator.add_bot(&NewBot { name: "Helper".into(), ..NewBot::default() }).unwrap();
    let client = async || {
        let mut config = ClientConfig::new(table.clone(), 1, API_HASH);
        config.updates = true;
        Client::connect(config, Arc::<MemoryPersistence>::default(), tracer.clone()).await.unwrap()
    };
    let (opener, scanned, bot) = (client().await, client().await, client().await);
    let person = || Person { phone: OTHER_PHONE, ..Person::new(0) };
    account::login_code(&opener, &mut person(), request()).await.unwrap();

    let (links, mut shown) = tokio::sync::mpsc::unbounded_channel();
    let mut signals = LoginSignals::of(&scanned).unwrap();
    let mut scanning = Person { links: Some(links), ..person() };
    let open = async {
        let token: Bytes = shown.recv().await.unwrap();
        opener.invoke(&f::auth::AcceptLoginToken { token: token.clone() }).await.unwrap();
        token
    };
    let (outcome, token) = tokio::join!(account::login_qr(&scanned, &mut signals, &mut scanning, &[], request()), open);
    assert_eq!(outcome.unwrap().me().phone.as_deref(), Some(OTHER_PHONE));
    account::login_bot(&bot, &bot_token, request()).await.unwrap();
    for client in [&opener, &scanned, &bot] {
        account::logout(client).await.unwrap();
        client.close().await;
    }
    vec![
        text_secret("password", PASSWORD),
        text_secret("hint of the password", HINT),
        text_secret("other phone number", OTHER_PHONE),
        text_secret("bot token", &bot_token),
        secret("login token", &token),
    ]
}

/// A file up, in a message, and down again.
async fn move_a_file(client: &Client) {
    let content = CONTENT.repeat(100);
    let media = client.media(client.home_dc());
    let part = f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: Bytes::from(content.clone()) };
    assert!(media.invoke(&part).await.unwrap());
    let file = types::InputFile { id: 1, parts: 1, name: "f.bin".into(), md5_checksum: "".into() };
    let document = types::InputMediaUploadedDocument {
        force_file: true,
        file: file.into(),
        mime_type: "application/octet-stream".into(),
        ..Default::default()
    };
    let upload = f::messages::UploadMedia { peer: enums::InputPeer::PeerSelf, media: document.into(), ..Default::default() };
    let enums::MessageMedia::Document(made) = client.invoke(&upload).await.unwrap() else { panic!("no document") };
    let Some(enums::Document::Document(document)) = made.document else { panic!("no document") };
    let location = types::InputDocumentFileLocation {
        id: document.id,
        access_hash: document.access_hash,
        file_reference: document.file_reference,
        ..Default::default()
    };
    let get = f::upload::GetFile { location: location.into(), offset: 0, limit: 64 << 10, ..Default::default() };
    let enums::upload::File::File(file) = media.invoke(&get).await.unwrap() else { panic!("no file") };
    assert_eq!(file.bytes, content);
}

/// All the ways in which some bytes could be written.
fn forms(secret: &[u8]) -> Vec<String> {
    let mut forms = vec![hex::of(secret), hex::of(secret).to_uppercase()];
    // Wherever it begins within something longer, all but its edges looks like one of these.
    forms.extend((0..3).filter_map(|skip| secret.get(skip..).map(base64)).filter(|text| text.len() >= 8));
    forms
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (whole, _) = bytes.as_chunks::<3>();
    let groups = whole.iter().flat_map(|&[a, b, c]| {
        let word = u32::from_be_bytes([0, a, b, c]);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(word >> shift & 63) as usize]))
    });
    groups.collect()
}

/// A secret, and how it could be written.
struct Secret {
    name: String,
    forms: Vec<String>,
}

fn secret(name: impl Into<String>, bytes: &[u8]) -> Secret {
    Secret { name: name.into(), forms: forms(bytes) }
}

fn text_secret(name: &str, text: &str) -> Secret {
    let mut found = secret(name, text.as_bytes());
    // Five digits may stand in any identifier: a code is a text of its own.
    found.forms.push(if text.len() > 6 { text.to_owned() } else { format!("\"{text}\"") });
    found
}

/// What the server made up: it is in the bodies.
fn secrets_of_bodies(truth: &Collector) -> Vec<Secret> {
    let mut found = Vec::new();
    for event in truth.events() {
        let (bytes, method) = match event {
            Event::Body { bytes, method, .. } => (bytes, method),
            Event::CoreCall { call, .. } => {
                if let Call::BeginClient { auth_key, rng_seed, .. } | Call::BeginServer { auth_key, rng_seed, .. } = *call {
                    found.push(secret("key of a session", &auth_key[..64]));
                    found.push(secret("seed of a session", &rng_seed));
                }
                continue;
            }
            _ => continue,
        };
        let mut json = Vec::new();
        tdl::debug::body::Body::read(&bytes, method).put_json(&mut json);
        let tree: serde_json::Value = serde_json::from_slice(&json).unwrap();
        walk(&tree, &mut found);
    }
    found
}

fn walk(tree: &serde_json::Value, found: &mut Vec<Secret>) {
    match tree {
        serde_json::Value::Object(fields) => {
            let of = fields.get("_").and_then(|name| name.as_str()).unwrap_or_default();
            for (name, value) in fields {
                match (of, &**name, value.as_str()) {
                    (_, "phone_code_hash", Some(hash)) => found.push(text_secret("phone_code_hash", hash)),
                    ("auth.exportedAuthorization" | "auth.importAuthorization", "bytes", Some(digits)) => {
                        found.push(secret("exported authorization", &hex::read(digits).unwrap()));
                    }
                    ("auth.bindTempAuthKey", "encrypted_message", Some(digits)) => {
                        found.push(secret("binding message", &hex::read(digits).unwrap()));
                    }
                    _ => walk(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

/// Where everything is shown, it is a recording as well: of the clients' sessions and of the servers'.
fn replay(text: &str) {
    let mut replay = Replay::default();
    for line in text.lines() {
        if let Line::Record(record) = jsonl::parse(line.as_bytes()).unwrap() {
            assert_eq!(replay.event(&record.event), Ok(None), "{line}");
        }
    }
    let progress = replay.progress();
    assert!(progress.sessions > 10 && progress.calls > 500, "{progress:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redaction() {
    let dir = tempfile::tempdir().unwrap();
    let sinks = Sinks::new(dir.path());
    let mut config = Config::new(dir.path().join("box"));
    config.tracer.0 = sinks.tracer.clone();
    let cluster = Cluster::start(config).await.unwrap();
    let table = DcTable::read(&cluster.file()).unwrap();
    let mut secrets = Vec::new();

    // With forward secrecy and without; the account lives on DC 3, and the client begins at DC 2.
    for (round, pfs) in [Some(PfsPolicy::default()), None].into_iter().enumerate() {
        let mut config = ClientConfig::new(table.clone(), 1, API_HASH);
        config.updates = true;
        config.pfs = pfs;
        let store = Arc::<MemoryPersistence>::default();
        let client = Client::connect(config, store.clone(), sinks.tracer.clone()).await.unwrap();

        // A wrong code, and a new account the first time; logged out; logged in again.
        let first = login(&client, 1).await;
        assert_eq!(matches!(first, account::LoggedIn::Up(_)), round == 0);
        account::logout(&client).await.unwrap();
        assert!(matches!(login(&client, 0).await, account::LoggedIn::In(_)));
        assert_eq!(client.home_dc(), DcId(3));

        let message = f::messages::SendMessage {
            peer: enums::InputPeer::PeerSelf,
            message: TEXT.into(),
            random_id: client.random_i64(),
            ..Default::default()
        };
        client.invoke(&message).await.unwrap();
        let profile = f::account::UpdateProfile { about: Some(TEXT.into()), ..Default::default() };
        // Whether the cluster knows the method or not: it was sent.
        let _ = client.invoke(&profile).await;
        move_a_file(&client).await;
        // The authorization is exported here and imported there.
        for dc in [DcId(1), DcId(2)] {
            client.invoke_on(dc, &f::help::GetNearestDc).await.unwrap();
        }
        for dc in 1..=3 {
            let auth = store.dc_auth(DcId(dc)).unwrap().expect("a key was made for every data centre");
            secrets.push(secret(format!("auth key of DC {dc}"), &auth.auth_key.as_bytes()[..64]));
        }
        account::logout(&client).await.unwrap();
        client.close().await;
    }
    secrets.extend(other_ways_in(&cluster, &table, &sinks.tracer).await);
    cluster.shutdown().await;

    for (name, text) in [
        ("phone number", PHONE),
        ("phone number with +", "+9996631234"),
        ("code", CODE),
        ("wrong code", WRONG_CODE),
        ("app hash", API_HASH),
        ("contents of a file", CONTENT),
    ] {
        secrets.push(text_secret(name, text));
    }
    let personal = [("first name", FIRST_NAME), ("last name", LAST_NAME), ("message", TEXT)].map(|(n, t)| text_secret(n, t));
    secrets.extend(secrets_of_bodies(&sinks.truth));
    for name in ["phone_code_hash", "exported authorization", "binding message", "key of a session", "seed of a session"] {
        assert!(secrets.iter().any(|secret| secret.name == name), "no {name} was seen: the run did not go as it should");
    }

    for (sink, text) in sinks.texts() {
        assert!(text.lines().count() > 500, "{sink} has {} lines", text.lines().count());
        if sink == "all" {
            replay(&text);
        }
        let (wanted, unwanted): (Vec<&Secret>, Vec<&Secret>) = match sink {
            "all" => (secrets.iter().chain(&personal).collect(), Vec::new()),
            "texts" => (personal.iter().collect(), secrets.iter().collect()),
            _ => (Vec::new(), secrets.iter().chain(&personal).collect()),
        };
        for secret in unwanted {
            for form in &secret.forms {
                if let Some(at) = text.find(form.as_str()) {
                    let around: String = text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
                    panic!("{sink} holds the {}, as {form}: {around}", secret.name);
                }
            }
        }
        for secret in wanted {
            // Permanent keys are in no call where temporary ones do the work, the client sends digits alone, and a password is proved.
            let never = secret.name.starts_with("auth key of") || ["phone number with +", "password"].contains(&&*secret.name);
            let found = secret.forms.iter().any(|form| text.contains(form.as_str()));
            assert!(found || never, "{sink} does not show the {}", secret.name);
        }
    }
}
