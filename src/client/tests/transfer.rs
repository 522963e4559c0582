//! Transfer connections: how many there are, and who takes which.

use std::collections::HashSet;

use futures_util::future::{join, join_all};

use super::*;

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
