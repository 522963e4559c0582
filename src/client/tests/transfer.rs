//! Transfer connections: how many there are, and who takes which.

use std::collections::HashSet;

use futures_util::future::{join, join_all};

use super::*;
use crate::tl::Deserialize as _;
use api::functions::upload::SaveBigFilePart;

#[tokio::test(start_paused = true)]
async fn transfer_connections_share_the_key_and_are_as_many_as_needed() {
    let server = TestServer::new(usual);
    let config = ClientConfig { transfer_connections: 3, ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let media = client.media(DcId(2));
    media.invoke(&GetNearestDc).await.unwrap();
    media.invoke(&GetNearestDc).await.unwrap();
    assert_eq!(server.dials(), 1, "no second one while the first has nothing to do");
    join_all((0..10).map(|_| media.invoke(&GetNearestDc))).await;
    assert_eq!((server.dials(), server.handshakes()), (3, 1));
    let sessions: HashSet<_> = server.calls().iter().map(|call| call.session).collect();
    assert_eq!(sessions.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn calls_that_belong_together_take_one_connection_and_one_packet() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    let media = client.media(DcId(2));
    media.once(&GetNearestDc).await.unwrap();
    let together = media.together();
    let alone = media.once(&GetNearestDc);
    let (alone, of_several) = join(alone, join_all((0..3).map(|_| together.once(&GetNearestDc)))).await;
    assert!(alone.is_ok() && of_several.iter().all(Result::is_ok));
    let travelled: Vec<_> = server.calls().iter().skip(1).map(|call| (call.session, call.frames)).collect();
    let packets: HashSet<_> = travelled.iter().collect();
    assert_eq!((travelled.len(), packets.len(), server.dials()), (4, 2, 2), "{travelled:?}");
}

/// A part of a file as it is sent.
fn part(n: i32) -> SaveBigFilePart {
    SaveBigFilePart { file_id: 7, file_part: n, file_total_parts: 100, bytes: vec![n as u8; 512 << 10].into() }
}

fn take(call: &Call) -> Reply {
    if call.method == SaveBigFilePart::ID { Reply::of(&true) } else { usual(call) }
}

/// The parts that a server has been sent, in order; each is whole.
fn sent(server: &TestServer) -> Vec<i32> {
    let calls = server.calls();
    let parts = calls.iter().filter(|call| call.method == SaveBigFilePart::ID);
    let mut parts: Vec<_> = parts
        .map(|call| {
            let found = SaveBigFilePart::from_bytes(call.body.clone()).unwrap();
            assert!(found == part(found.file_part));
            found.file_part
        })
        .collect();
    parts.sort_unstable();
    parts
}

#[tokio::test(start_paused = true)]
async fn parts_that_go_out_together_are_encrypted_together() {
    let server = TestServer::new(take);
    let config = ClientConfig { transfer_connections: 4, ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    let media = client.media(DcId(2));
    let parts: Vec<_> = (0..16).map(part).collect();
    assert!(join_all(parts.iter().map(|part| media.once(part))).await.into_iter().all(|taken| taken.unwrap()));
    assert_eq!(sent(&server), (0..16).collect::<Vec<_>>());
    assert_eq!(server.dials(), 4);
    let together = client.sealer().together();
    assert!(together >= 8 || !crate::crypto::message::is_side_by_side(), "{together}");
}

/// What was being encrypted when the connection ended goes out over the next one.
#[tokio::test(start_paused = true)]
async fn a_part_that_was_being_encrypted_when_the_connection_ended_is_sent_again() {
    let server = TestServer::new(take);
    let client = client(&server, &Arc::default()).await;
    let (media, mut midway) = (client.media(DcId(2)), 0);
    for n in 0..20 {
        let part = part(n);
        let cut = async {
            // Once more each time: before it is handed over, while it is encrypted, while it is written, and after.
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
            midway += usize::from(client.sealer().waiting() > 0);
            server.cut();
        };
        let (taken, ()) = join(media.invoke(&part), cut).await;
        assert!(taken.unwrap());
    }
    assert!(midway > 0 || !crate::crypto::message::is_side_by_side(), "no cut met a part that was being encrypted");
    let mut parts = sent(&server);
    parts.dedup();
    assert_eq!(parts, (0..20).collect::<Vec<_>>());
}
