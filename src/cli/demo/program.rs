//! One of the programs: a client, and an ear at its connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tdl::account::{self, CodeAnswer, CodeSent, LoginPrompts, LoginRequest, Name, PromptError};
use tdl::client::{AccountRecord, Client, ClientConfig, DcTable, DeviceProfile, LayerPlan, MemoryPersistence, Persistence};
use tdl::tl::api::{enums, functions, types};
use tdl::tl::{dynamic, layers};
use tdl::trace::{Event, Layer, Observer, Record, Tracer};

use crate::cli::context::unix_now;
use crate::cli::exit::CliError;

/// Something that the server pushed.
pub(super) struct Heard {
    /// Whether it can be read in the program's layer.
    readable: bool,
    body: Bytes,
}

/// Listens at a client's connections: what is pushed, whether the client can read it or not.
pub(super) struct Ear {
    layer: i32,
    heard: Mutex<Vec<Heard>>,
}

impl Ear {
    fn new(layer: i32) -> Arc<Self> {
        Arc::new(Self { layer, heard: Mutex::default() })
    }

    /// Whether a text was pushed, and if so whether in a form that the program can read.
    pub(super) fn heard(&self, text: &str) -> Option<bool> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |body: &Bytes| body.windows(text.len()).any(|window| window == text.as_bytes());
        heard.iter().filter(|heard| has(&heard.body)).map(|heard| heard.readable).max()
    }

    /// Whether the object is one that the server pushes. Its constructor may be one of another layer than the program's.
    fn is_update(&self, body: &Bytes) -> bool {
        let id = body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
        let spoken = [self.layer, LayerPlan::COMPILED.layer];
        let names =
            spoken.into_iter().filter_map(|layer| layers::schema(layer).ok()?.by_id(id)).map(|found| found.name.as_str());
        names.into_iter().any(|name| {
            matches!(name, "updates" | "updatesCombined" | "updateShort" | "updateShortMessage" | "updateShortChatMessage")
        })
    }
}

impl Observer for Ear {
    fn record(&self, record: &Record) {
        let Event::Body { sent: false, bytes, .. } = &record.event else { return };
        if !self.is_update(bytes) {
            return;
        }
        let readable = layers::schema(self.layer).is_ok_and(|schema| dynamic::decode(schema, bytes.clone()).is_ok());
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(Heard { readable, body: bytes.clone() });
    }

    fn wants(&self, layer: Layer) -> bool {
        layer == Layer::Tl
    }
}

/// A program that is logged in, or about to.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) client: Client,
    pub(super) store: Arc<MemoryPersistence>,
    pub(super) ear: Arc<Ear>,
    /// Where the account's counters stood when it began to listen.
    since: Option<types::updates::State>,
}

/// How a demo's client is configured. Forward secrecy is left out: the server counts the permanent key, with it or without.
pub(super) fn config(table: &DcTable, device: DeviceProfile, layer: i32) -> ClientConfig {
    let mut config = ClientConfig::new(table.clone(), 1, "demo");
    (config.device, config.layer, config.pfs) = (device, LayerPlan::fixed(layer), None);
    config.reconnect_timeout = Duration::from_secs(20);
    config
}

/// A client that behaves as Telegram Desktop does, and says so plainly.
pub(super) fn desktop_like() -> DeviceProfile {
    DeviceProfile {
        name: "desktop-like".into(),
        device_model: "Desktop-like".into(),
        app_version: "5.0 (demo)".into(),
        ..DeviceProfile::default()
    }
}

impl Program {
    /// A program that listens for updates, over what `store` holds. It is not logged in by this.
    pub(super) async fn start(
        name: &'static str,
        mut config: ClientConfig,
        store: Arc<MemoryPersistence>,
    ) -> Result<Self, CliError> {
        config.updates = true;
        let ear = Ear::new(config.layer.layer);
        let client = Client::connect(config, Arc::clone(&store) as _, Tracer::new(Arc::clone(&ear) as _)).await?;
        Ok(Self { name, client, store, ear, since: None })
    }

    /// Logs in, or signs up.
    pub(super) async fn log_in(&self, phone: &str) -> Result<i64, CliError> {
        let request = LoginRequest { phone: Some(phone.to_owned()), now: unix_now(), ..LoginRequest::default() };
        let home = phone.chars().nth(5).unwrap_or('1');
        let mut answers = Answers { code: std::iter::repeat_n(home, 5).collect(), name: self.name.to_owned() };
        let login = account::login_code(&self.client, &mut answers, request).await?;
        Ok(login.me().id)
    }

    /// Begins to listen: any call does that.
    pub(super) async fn listen(&mut self) -> Result<(), CliError> {
        let enums::updates::State::State(state) = self.client.invoke(&functions::updates::GetState {}).await?;
        self.since = Some(state);
        Ok(())
    }

    /// What a program does all day: it looks at the list of chats.
    pub(super) async fn act(&self) -> Result<(), CliError> {
        let request = functions::messages::GetDialogs {
            exclude_pinned: false,
            folder_id: None,
            offset_date: 0,
            offset_id: 0,
            offset_peer: enums::InputPeer::Empty,
            limit: 10,
            hash: 0,
        };
        self.client.invoke(&request).await?;
        Ok(())
    }

    /// The texts that the server tells when it is asked what has happened since the program began to listen.
    pub(super) async fn difference(&self) -> Result<Vec<String>, CliError> {
        let mut texts = Vec::new();
        let Some(mut state) = self.since.clone() else { return Ok(texts) };
        loop {
            let ask = functions::updates::GetDifference {
                pts: state.pts,
                pts_limit: None,
                pts_total_limit: None,
                date: state.date,
                qts: state.qts,
                qts_limit: None,
            };
            let text = |message: &enums::Message| match message {
                enums::Message::Message(message) => Some(message.message.to_string()),
                _ => None,
            };
            match self.client.invoke(&ask).await? {
                enums::updates::Difference::Difference(found) => {
                    texts.extend(found.new_messages.iter().filter_map(text));
                    return Ok(texts);
                }
                enums::updates::Difference::Slice(found) => {
                    texts.extend(found.new_messages.iter().filter_map(text));
                    let enums::updates::State::State(next) = found.intermediate_state;
                    if next.pts <= state.pts {
                        return Err(CliError::failed("the difference does not get any further"));
                    }
                    state = next;
                }
                enums::updates::Difference::Empty(_) => return Ok(texts),
                enums::updates::Difference::TooLong(_) => return Err(CliError::failed("the difference is too long")),
            }
        }
    }

    /// A store with the program's key in it: what a copy of its files would hold.
    pub(super) fn copy_of_key(&self) -> Result<Arc<MemoryPersistence>, CliError> {
        let copy = MemoryPersistence::new();
        for auth in self.store.dc_auths()? {
            copy.save_dc_auth(&auth)?;
        }
        if let Some(home) = self.store.home_dc()? {
            copy.set_home_dc(home)?;
        }
        if let Some(account) = self.store.account()? {
            copy.save_account(&AccountRecord { logged_in_at: unix_now(), ..account })?;
        }
        Ok(Arc::new(copy))
    }
}

/// Answers that are known beforehand.
pub(super) struct Answers {
    pub(super) code: String,
    pub(super) name: String,
}

impl LoginPrompts for Answers {
    async fn phone(&mut self) -> Result<String, PromptError> {
        Err("the phone number was given".into())
    }

    async fn code(&mut self, _sent: &CodeSent, wrong: u32) -> Result<CodeAnswer, PromptError> {
        if wrong > 0 {
            return Err("the code is refused".into());
        }
        Ok(CodeAnswer::Code(self.code.clone()))
    }

    async fn name(&mut self, _terms: Option<&str>) -> Result<Name, PromptError> {
        Ok(Name { first: self.name.clone(), last: String::new() })
    }
}
