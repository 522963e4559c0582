//! Every kind of transport, over every way to a data centre, against the local cluster: a key exchange, a sign-up, calls, a file up and
//! down again, an update that is pushed. Prints a table: `cargo test --test transport_matrix -- --nocapture`.
//!
//! Kinds are rows, ways are columns. A way is what leads to the data centre before the first byte of the transport: a new one is a variant
//! of [`Way`] and an arm in [`Way::lead`].
#![cfg(feature = "sandbox")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tdl::client::{Client, ClientConfig, DcTable, MemoryPersistence, PfsPolicy, UpdateItem};
use tdl::ids::DcId;
use tdl::sandbox::{Cluster, Config};
use tdl::tl::Deserialize as _;
use tdl::tl::api::{enums, functions as f, types};
use tdl::trace::{Collector, Event};
use tdl::transport::{Carrier, Kind, Options};

/// How long one cell may take, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(240);

/// The length of the parts of the file, and how many there are.
const PART: usize = 64 << 10;
const PARTS: usize = 3;

/// A row: what the bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    carrier: Carrier,
    kind: Kind,
    obfuscated: bool,
}

impl Row {
    /// Every combination that there is. A WebSocket is always obfuscated inside; HTTP has neither kinds nor obfuscation.
    fn all() -> Vec<Self> {
        let row = |carrier, kind, obfuscated| Self { carrier, kind, obfuscated };
        let plain = Kind::ALL.map(|kind| row(Carrier::Stream, kind, false));
        let obfuscated = Kind::ALL.map(|kind| row(Carrier::Stream, kind, true));
        let websocket = Kind::ALL.map(|kind| row(Carrier::WebSocket, kind, true));
        let http = [row(Carrier::Http, Kind::Full, false)];
        [&plain[..], &obfuscated, &websocket, &http].concat()
    }

    fn has_quick_acks(self) -> bool {
        self.carrier != Carrier::Http && self.kind != Kind::Full
    }

    fn name(self) -> String {
        match (self.carrier, self.obfuscated) {
            (Carrier::Http, _) => "http".to_owned(),
            (Carrier::WebSocket, _) => format!("ws {}", self.kind),
            (Carrier::Stream, true) => format!("obfuscated {}", self.kind),
            (Carrier::Stream, false) => self.kind.to_string(),
        }
    }
}

/// A column: what leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing but the network.
    Direct,
}

impl Way {
    const ALL: [Self; 1] = [Self::Direct];

    const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
        }
    }

    /// Whether a kind of transport can go this way.
    const fn carries(self, _row: Row) -> bool {
        match self {
            Self::Direct => true,
        }
    }

    /// Leads a client this way.
    fn lead(self, _config: &mut ClientConfig) {
        match self {
            Self::Direct => {}
        }
    }
}

/// What a cell that went well has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    quick_acks: usize,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn config(table: &DcTable, row: Row, way: Way) -> ClientConfig {
    let mut config = ClientConfig::new(table.clone(), 1, "hash");
    config.transport = Options { kind: row.kind, obfuscated: row.obfuscated, dc: DcId(0) };
    config.carrier = row.carrier;
    config.quick_acks = true;
    config.updates = true;
    way.lead(&mut config);
    config
}

async fn connect(config: ClientConfig, collector: &Arc<Collector>) -> Result<Client, Failure> {
    Ok(Client::connect(config, Arc::<MemoryPersistence>::default(), collector.tracer()).await?)
}

/// Logs in; signs up if the number has no account.
async fn login(client: &Client, phone: &str) -> Result<(), Failure> {
    let settings = types::CodeSettings::default().into();
    let send = f::auth::SendCode { phone_number: phone.into(), api_id: 1, api_hash: "".into(), settings };
    let enums::auth::SentCode::Code(sent) = client.invoke(&send).await? else { return Err("no code was sent".into()) };
    let sign_in = f::auth::SignIn {
        phone_number: phone.into(),
        phone_code_hash: sent.phone_code_hash.clone(),
        phone_code: Some(phone[5..6].repeat(5).into()),
        email_verification: None,
    };
    let mut answer = client.invoke(&sign_in).await?;
    if matches!(answer, enums::auth::Authorization::SignUpRequired(_)) {
        let sign_up = f::auth::SignUp {
            no_joined_notifications: false,
            phone_number: phone.into(),
            phone_code_hash: sent.phone_code_hash.clone(),
            first_name: "Matrix".into(),
            last_name: "".into(),
        };
        answer = client.invoke(&sign_up).await?;
    }
    match answer {
        enums::auth::Authorization::Authorization(_) => Ok(()),
        enums::auth::Authorization::SignUpRequired(_) => Err("signing up did not help".into()),
    }
}

/// Sends a file, in parts under way together, and fetches it again.
async fn move_a_file(client: &Client, content: &[u8]) -> Result<(), Failure> {
    let media = client.media(client.home_dc());
    let parts = content.chunks(PART).enumerate().map(|(n, part)| f::upload::SaveFilePart {
        file_id: 7,
        file_part: i32::try_from(n).expect("few"),
        bytes: Bytes::copy_from_slice(part),
    });
    let calls = parts.map(|part| {
        let media = media.clone();
        async move { media.invoke(&part).await }
    });
    for saved in futures_util::future::join_all(calls).await {
        saved?;
    }
    let file = types::InputFile { id: 7, parts: i32::try_from(PARTS)?, name: "a.bin".into(), md5_checksum: "".into() };
    let media_input = types::InputMediaUploadedDocument {
        nosound_video: false,
        force_file: true,
        spoiler: false,
        file: file.into(),
        thumb: None,
        mime_type: "application/octet-stream".into(),
        attributes: Vec::new(),
        stickers: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    };
    let upload =
        f::messages::UploadMedia { business_connection_id: None, peer: enums::InputPeer::PeerSelf, media: media_input.into() };
    let enums::MessageMedia::Document(made) = client.invoke(&upload).await? else { return Err("no document".into()) };
    let Some(enums::Document::Document(document)) = made.document else { return Err("no document".into()) };
    let location = types::InputDocumentFileLocation {
        id: document.id,
        access_hash: document.access_hash,
        file_reference: document.file_reference,
        thumb_size: "".into(),
    };
    let ranges = (0..PARTS).map(|n| f::upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: location.clone().into(),
        offset: (n * PART) as i64,
        limit: PART as i32,
    });
    let calls = ranges.map(|range| {
        let media = media.clone();
        async move { media.invoke(&range).await }
    });
    let mut copy = Vec::new();
    for part in futures_util::future::join_all(calls).await {
        let enums::upload::File::File(part) = part? else { return Err("no file".into()) };
        copy.extend_from_slice(&part.bytes);
    }
    if copy == content { Ok(()) } else { Err("the copy differs".into()) }
}

/// Waits for a message with the given text.
async fn hear(client: &Client, text: &str) -> Result<(), Failure> {
    let mut updates = client.updates().ok_or("the stream of updates is taken")?;
    while let Some(item) = updates.next().await {
        let UpdateItem::Update(body) = item else { continue };
        let list = match enums::Updates::from_bytes(body)? {
            enums::Updates::Updates(updates) => updates.updates,
            _ => continue,
        };
        for update in list {
            if let enums::Update::NewMessage(update) = update
                && let enums::Message::Message(message) = update.message
                && message.message == *text
            {
                return Ok(());
            }
        }
    }
    Err("the stream of updates ended".into())
}

async fn cell(table: DcTable, row: Row, way: Way, phone: String) -> Result<Seen, Failure> {
    let collector = Collector::new();
    let first = connect(config(&table, row, way), &collector).await?;
    login(&first, &phone).await?;
    let enums::NearestDc::Dc(nearest) = first.invoke(&f::help::GetNearestDc).await?;
    if DcId(nearest.this_dc) != first.home_dc() {
        return Err("another data centre answered".into());
    }
    let content: Vec<u8> = (0..PART * PARTS - 1000).map(|n| ((n * 7) >> 3) as u8).collect();
    move_a_file(&first, &content).await?;

    // Somebody else's connection: what it says is pushed.
    let second = connect(config(&table, row, way), &collector).await?;
    login(&second, &phone).await?;
    let text = format!("over {}", row.name());
    let say = f::messages::SendMessage {
        peer: enums::InputPeer::PeerSelf,
        message: text.as_str().into(),
        random_id: second.random_i64(),
        ..f::messages::SendMessage::default()
    };
    second.invoke(&say).await?;
    hear(&first, &text).await?;
    first.close().await;
    second.close().await;

    let failed = collector.failed_checks();
    if !failed.is_empty() {
        return Err(format!("checks failed: {failed:?}").into());
    }
    Ok(Seen { quick_acks: collector.count(|event| matches!(event, Event::QuickAck { .. })) })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_over_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let table = DcTable::read(&cluster.file()).unwrap();
    let mut cells = Vec::new();
    for (n, row) in Row::all().into_iter().enumerate() {
        for (m, way) in Way::ALL.into_iter().enumerate() {
            if !way.carries(row) {
                continue;
            }
            let phone = format!("999662{:02}{m:02}", n + 10);
            let cell = tokio::spawn(tokio::time::timeout(PATIENCE, cell(table.clone(), row, way, phone)));
            cells.push((row, way, cell));
        }
    }
    let mut results = Vec::new();
    for (row, way, cell) in cells {
        let result = match cell.await {
            Ok(Ok(Ok(seen))) if row.has_quick_acks() == (seen.quick_acks > 0) => Ok(seen),
            Ok(Ok(Ok(seen))) => Err(format!("{} quick acknowledgements", seen.quick_acks)),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(_)) => Err(format!("not done within {} s", PATIENCE.as_secs())),
            Err(panic) => Err(panic.to_string()),
        };
        results.push((row, way, result));
    }
    let mut table = String::new();
    for way in Way::ALL {
        write!(table, "\n{:<26}{:<10}quick acks\n", "", way.name()).unwrap();
        for (row, _, result) in results.iter().filter(|result| result.1 == way) {
            let (word, quick) = match result {
                Ok(seen) if row.has_quick_acks() => ("ok", seen.quick_acks.to_string()),
                Ok(_) => ("ok", "-".to_owned()),
                Err(error) => ("FAILED", error.clone()),
            };
            writeln!(table, "{:<26}{word:<10}{quick}", row.name()).unwrap();
        }
    }
    println!("{table}");
    assert!(results.iter().all(|(_, _, result)| result.is_ok()), "{table}");
    assert_eq!(results.len(), 13, "4 plain, 4 obfuscated, 4 in a WebSocket, and HTTP");
    cluster.shutdown().await;
}

/// How long an update may take over a connection whose key was renewed a moment ago: less than a long poll.
const PROMPTLY: Duration = Duration::from_secs(12);

/// Renews the key of one connection twice, and hears of an update behind that.
async fn outlive_keys(table: DcTable, carrier: Carrier, phone: String) -> Result<(), Failure> {
    let row = Row { carrier, kind: Kind::PaddedIntermediate, obfuscated: true };
    let collector = Collector::new();
    let short = ClientConfig { pfs: Some(PfsPolicy { lifetime: Duration::from_secs(8) }), ..config(&table, row, Way::Direct) };
    let first = connect(short, &collector).await?;
    login(&first, &phone).await?;
    let second = connect(config(&table, row, Way::Direct), &Collector::new()).await?;
    login(&second, &phone).await?;
    while collector.count(|event| matches!(event, Event::TempKeyBound { .. })) < 3 {
        first.invoke(&f::help::GetNearestDc).await?;
        // Keys end by the clock of the wall, and there is nothing to do meanwhile.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let say = f::messages::SendMessage {
        peer: enums::InputPeer::PeerSelf,
        message: "under another key".into(),
        random_id: second.random_i64(),
        ..f::messages::SendMessage::default()
    };
    second.invoke(&say).await?;
    tokio::time::timeout(PROMPTLY, hear(&first, "under another key")).await??;
    first.close().await;
    second.close().await;
    let failed = collector.failed_checks();
    if failed.is_empty() { Ok(()) } else { Err(format!("checks failed: {failed:?}").into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_bound_and_renewed_over_every_carrier() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let table = DcTable::read(&cluster.file()).unwrap();
    let cells: Vec<_> = Carrier::ALL
        .into_iter()
        .enumerate()
        .map(|(n, carrier)| {
            let work = outlive_keys(table.clone(), carrier, format!("99966230{n:02}"));
            (carrier, tokio::spawn(tokio::time::timeout(PATIENCE, work)))
        })
        .collect();
    for (carrier, cell) in cells {
        let result = cell.await.unwrap().unwrap_or_else(|_| Err("not done in time".into()));
        assert!(result.is_ok(), "{carrier}: {result:?}");
    }
    cluster.shutdown().await;
}
