//! What the demos of one key and of two have in common: two programs of one account, a friend who writes, and who was told what.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tdl::account::{self, authorizations, layers_on_record};
use tdl::client::{Client, DcTable, DeviceProfile, MemoryPersistence, Persistence};
use tdl::sandbox::{Cluster, Config};
use tdl::tl::api::{enums, functions, types};
use tdl::trace::Tracer;

use super::program::{Program, config};
use crate::cli::exit::CliError;

/// The time between two messages.
const PACE: Duration = Duration::from_millis(50);
/// After so many messages it is the other program's turn to do something.
const TURN: u32 = 4;
/// How long the last pushes may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The DC where the accounts live, as their phone numbers say.
const FRIEND: &str = "9996620000";

/// The cluster and the friend.
pub(super) struct Stage {
    cluster: Cluster,
    pub(super) table: DcTable,
    friend: Program,
}

/// The server's record of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OnRecord {
    /// The device that introduced itself last.
    pub(super) device: String,
    /// The layers that it may have said: those that cannot be told apart by the form of a user.
    pub(super) layers: Vec<i32>,
}

/// What one program was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) program: &'static str,
    /// Messages that the friend sent.
    pub(super) sent: usize,
    /// Those of them that came by push, and could be read.
    pub(super) pushed: usize,
    /// Those that were pushed in a form that the program cannot read.
    pub(super) unreadable: usize,
    /// Those that did not come by push, or cannot be read.
    pub(super) missed: usize,
    /// Those of the missed that `updates.getDifference` told in the end.
    pub(super) late: usize,
    /// How long after it was sent the first of them was known.
    pub(super) late_by: Option<Duration>,
}

/// One day.
pub(super) struct Day {
    /// The layer that the desktop-like program speaks.
    pub(super) layer: i32,
    pub(super) tallies: Vec<Tally>,
    /// The desktop-like program's key, before ours came and afterwards.
    pub(super) before: OnRecord,
    pub(super) after: OnRecord,
    /// Our own key afterwards, if it is another one.
    pub(super) own: Option<OnRecord>,
}

impl Stage {
    pub(super) async fn set(dir: &Path) -> Result<Self, CliError> {
        let cluster = Cluster::start(Config::new(dir.join("box")))
            .await
            .map_err(|e| CliError::failed(format!("the cluster does not start: {e}")))?;
        let table = DcTable::read(&cluster.file()).map_err(|e| CliError::failed(e.to_string()))?;
        let layer = tdl::client::LayerPlan::COMPILED.layer;
        let friend = Program::start("Friend", config(&table, DeviceProfile::default(), layer), empty()).await?;
        friend.log_in(FRIEND).await?;
        Ok(Self { cluster, table, friend })
    }

    pub(super) async fn end(self) {
        self.friend.client.close().await;
        self.cluster.shutdown().await;
    }

    /// Whom the friend writes to.
    async fn peer(&self, phone: &str) -> Result<enums::InputPeer, CliError> {
        let request = functions::contacts::ResolvePhone { phone: phone.into() };
        let enums::contacts::ResolvedPeer::Peer(found) = self.friend.client.invoke(&request).await?;
        match found.users.first() {
            Some(enums::User::User(user)) => {
                let access_hash = user.access_hash.unwrap_or(0);
                Ok(types::InputPeerUser { user_id: user.id, access_hash }.into())
            }
            _ => Err(CliError::failed("the friend does not find the account")),
        }
    }

    async fn text(&self, peer: &enums::InputPeer, text: &str) -> Result<(), CliError> {
        let request = functions::messages::SendMessage {
            peer: peer.clone(),
            message: text.into(),
            random_id: self.friend.client.random_i64(),
            ..functions::messages::SendMessage::default()
        };
        self.friend.client.invoke(&request).await?;
        Ok(())
    }

    async fn file(&self, peer: &enums::InputPeer, caption: &str) -> Result<(), CliError> {
        let client = &self.friend.client;
        let id = client.random_i64();
        let bytes = caption.as_bytes().to_vec().into();
        client.invoke(&functions::upload::SaveFilePart { file_id: id, file_part: 0, bytes }).await?;
        let file = types::InputFile { id, parts: 1, name: "note.txt".into(), md5_checksum: "".into() }.into();
        let name = types::DocumentAttributeFilename { file_name: "note.txt".into() }.into();
        let media = types::InputMediaUploadedDocument {
            force_file: true,
            file,
            mime_type: "text/plain".into(),
            attributes: vec![name],
            ..types::InputMediaUploadedDocument::default()
        };
        let request = functions::messages::SendMedia {
            peer: peer.clone(),
            media: media.into(),
            message: caption.into(),
            random_id: client.random_i64(),
            ..functions::messages::SendMedia::default()
        };
        client.invoke(&request).await?;
        Ok(())
    }

    /// The friend writes; the two programs look at their chats, by turns. `programs` have begun to listen. Comes back when `enough` of what
    /// each was pushed is there, or patience has ended: then the tallies say so.
    pub(super) async fn day(
        &self,
        phone: &str,
        programs: [&Program; 2],
        messages: u32,
        enough: impl Fn(&[Tally]) -> bool,
    ) -> Result<Vec<Tally>, CliError> {
        let peer = self.peer(phone).await?;
        let mut sent = Vec::new();
        for n in 0..messages {
            if n % TURN == 0 {
                let [first, second] = programs;
                let turn = if (n / TURN).is_multiple_of(2) { first } else { second };
                turn.act().await?;
            }
            // Each text is found in bytes, so none may be the beginning of another.
            let text = format!("message {:04} of {messages}.", n + 1);
            // Every other one has a file: plain texts are pushed in a short form, which is the same in all layers in use.
            if n % 2 == 0 {
                self.text(&peer, &text).await?
            } else {
                self.file(&peer, &text).await?
            }
            sent.push((text, Instant::now()));
            tokio::time::sleep(PACE).await;
        }
        let until = Instant::now() + PATIENCE;
        let count = || programs.map(|program| tally(program, &sent));
        while !enough(&count()) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut tallies = Vec::new();
        for (program, mut tally) in programs.into_iter().zip(count()) {
            late(program, &sent, &mut tally).await?;
            tallies.push(tally);
        }
        Ok(tallies)
    }
}

pub(super) fn empty() -> Arc<MemoryPersistence> {
    Arc::new(MemoryPersistence::new())
}

fn tally(program: &Program, sent: &[(String, Instant)]) -> Tally {
    let mut tally = Tally { program: program.name, sent: sent.len(), ..Tally::default() };
    for (text, _) in sent {
        match program.ear.heard(text) {
            Some(true) => tally.pushed += 1,
            Some(false) => tally.unreadable += 1,
            None => {}
        }
    }
    tally.missed = tally.sent - tally.pushed;
    tally
}

/// Asks for the difference, as a client does that has heard nothing for a while.
async fn late(program: &Program, sent: &[(String, Instant)], tally: &mut Tally) -> Result<(), CliError> {
    let told: HashSet<String> = program.difference().await?.into_iter().collect();
    let missed = sent.iter().filter(|(text, _)| program.ear.heard(text) != Some(true) && told.contains(text));
    for (_, at) in missed {
        tally.late += 1;
        tally.late_by = tally.late_by.max(Some(at.elapsed()));
    }
    Ok(())
}

/// What the server has on record for the key in a store. Asked by a client that says nothing of itself and subscribes to nothing.
pub(super) async fn on_record(table: &DcTable, key: Arc<MemoryPersistence>) -> Result<OnRecord, CliError> {
    let layer = tdl::client::LayerPlan::COMPILED.layer;
    let config = account::lent(config(table, DeviceProfile::default(), layer), None);
    let client = Client::connect(config, key, Tracer::off()).await?;
    let result = async {
        let listed = authorizations(&client).await?;
        Ok::<_, CliError>((listed, layers_on_record(&client).await?))
    }
    .await;
    client.close().await;
    let (listed, layers) = result?;
    let device = listed.current().map(|a| format!("{}, {}", a.device_model, a.app_version)).unwrap_or_default();
    Ok(OnRecord { device, layers })
}

/// Whether a program has a key of its own, with an authorization of its own.
pub(super) fn has_own_key(ours: &Program, theirs: &Program) -> Result<bool, CliError> {
    let key = |program: &Program| -> Result<Option<i64>, CliError> {
        let Some(home) = program.store.home_dc()? else { return Ok(None) };
        Ok(program.store.dc_auth(home)?.filter(|auth| auth.authorized).map(|auth| auth.auth_key.id()))
    };
    let (ours, theirs) = (key(ours)?, key(theirs)?);
    Ok(ours.is_some() && theirs.is_some() && ours != theirs)
}
