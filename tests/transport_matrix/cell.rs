//! One cell of the matrix: a client of that kind goes that way, logs in, moves a file, and hears of what another one says.

use std::sync::Arc;

use bytes::Bytes;
use tdl::client::{Client, ClientConfig, MemoryPersistence, UpdateItem};
use tdl::ids::DcId;
use tdl::tl::Deserialize as _;
use tdl::tl::api::{enums, functions as f, types};
use tdl::trace::{Collector, Event};
use tdl::transport::Options;

use super::axes::{Row, Way};
use super::world::World;

/// The length of the parts of the file, and how many there are.
const PART: usize = 64 << 10;
const PARTS: usize = 3;

/// What a cell that went well has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) quick_acks: usize,
    /// Connections that went over to a temporary key, and to a permanent one.
    temporary: usize,
    permanent: usize,
}

impl Seen {
    /// What a cell of this row and column should not look like.
    pub(super) fn check(self, row: Row, way: Way) -> Result<Self, String> {
        let Self { quick_acks, temporary, permanent } = self;
        if row.has_quick_acks() != (quick_acks > 0) {
            return Err(format!("{quick_acks} quick acknowledgements"));
        }
        let fits = if way == Way::WithoutPfs { temporary == 0 && permanent > 0 } else { temporary > 0 && permanent == 0 };
        if fits { Ok(self) } else { Err(format!("{temporary} temporary keys in use, {permanent} permanent ones")) }
    }
}

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn config(world: &World, row: Row, way: Way) -> ClientConfig {
    let mut config = ClientConfig::new(world.table.clone(), 1, "hash");
    config.transport = Options { kind: row.kind, obfuscated: row.obfuscated, dc: DcId(0) };
    config.carrier = row.carrier;
    config.quick_acks = true;
    config.updates = true;
    way.lead(&mut config, world);
    config
}

pub(super) async fn connect(config: ClientConfig, collector: &Arc<Collector>) -> Result<Client, Failure> {
    Ok(Client::connect(config, Arc::<MemoryPersistence>::default(), collector.tracer()).await?)
}

/// Logs in; signs up if the number has no account.
pub(super) async fn login(client: &Client, phone: &str) -> Result<(), Failure> {
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
pub(super) async fn hear(client: &Client, text: &str) -> Result<(), Failure> {
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

pub(super) async fn cell(world: &World, row: Row, way: Way, phone: String) -> Result<Seen, Failure> {
    let collector = Collector::new();
    let first = connect(config(world, row, way), &collector).await?;
    login(&first, &phone).await?;
    let enums::NearestDc::Dc(nearest) = first.invoke(&f::help::GetNearestDc).await?;
    if DcId(nearest.this_dc) != first.home_dc() {
        return Err("another data centre answered".into());
    }
    let content: Vec<u8> = (0..PART * PARTS - 1000).map(|n| ((n * 7) >> 3) as u8).collect();
    move_a_file(&first, &content).await?;

    // Somebody else's connection: what it says is pushed.
    let second = connect(config(world, row, way), &collector).await?;
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
    let keys = |temporary| {
        collector.count(|event| matches!(event, Event::KeyInUse { expires_at, .. } if expires_at.is_some() == temporary))
    };
    Ok(Seen {
        quick_acks: collector.count(|event| matches!(event, Event::QuickAck { .. })),
        temporary: keys(true),
        permanent: keys(false),
    })
}
