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
async fn calls_that_belong_together_take_one_connection() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    let media = client.media(DcId(2));
    let together = media.together();
    join_all((0..3).map(|_| together.once(&GetNearestDc))).await;
    assert_eq!(server.dials(), 1);
    // Others take another one as long as it is in use, and so does what is taken apart.
    let apart = together.apart();
    let both = join(together.once(&GetNearestDc), apart.once(&GetNearestDc));
    assert!(matches!(both.await, (Ok(_), Ok(_))));
    let sessions: Vec<_> = server.calls().iter().map(|call| call.session).collect();
    let first = sessions[0];
    assert!(sessions[..3].iter().all(|session| *session == first));
    assert_eq!(sessions[3..].iter().filter(|session| **session == first).count(), 1, "{sessions:?}");
    assert_eq!(server.dials(), 2);
}
