//! The way to a DC when it is barred, and through proxies.

use super::*;

#[tokio::test(start_paused = true)]
async fn after_429_the_waits_grow_and_are_told_and_an_answer_ends_them() {
    let server = TestServer::new(usual);
    let config = ClientConfig { reconnect_timeout: Duration::ZERO, ..TestServer::config() };
    let client = client_with(&server, &Arc::default(), config).await;
    this_dc(&client).await.unwrap();
    let mut notices = client.notices();
    server.refuse_with(Some(429));
    let call = tokio::spawn({
        let client = client.clone();
        async move { this_dc(&client).await }
    });
    let mut waits = Vec::new();
    while waits.len() < 8 {
        if let Notice::Flooded { dc, wait } = notices.recv().await.unwrap() {
            assert_eq!(dc, DcId(2));
            waits.push(wait);
        }
    }
    let second = Duration::from_secs;
    for (n, wait) in waits.iter().enumerate() {
        let whole = (second(10) * (1 << n)).min(second(300));
        assert!(*wait >= whole / 2 && *wait <= whole, "{n}: {wait:?}");
    }
    server.refuse_with(None);
    assert_eq!(call.await.unwrap().unwrap(), 2);
    server.refuse_with(Some(429));
    let again = tokio::time::timeout(second(4), this_dc(&client)).await;
    assert!(again.is_err());
    loop {
        if let Notice::Flooded { wait, .. } = notices.recv().await.unwrap() {
            // Those left over from before are longer.
            if wait <= second(10) {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_attempt_would_change_is_not_tried_again_even_to_stay_connected() {
    for (code, told) in [(444, "444"), (404, "forgotten the key")] {
        let server = TestServer::new(usual);
        let store = Arc::default();
        let config = ClientConfig { updates: true, ..TestServer::config() };
        let client = client_with(&server, &store, config).await;
        this_dc(&client).await.unwrap();
        // A login hangs on the key.
        client.logged_in(&account()).unwrap();
        let mut notices = client.notices();
        server.refuse_with(Some(code));
        this_dc(&client).await.unwrap_err();
        let reason = loop {
            if let Notice::GaveUp { reason, .. } = notices.recv().await.unwrap() {
                break reason;
            }
        };
        assert!(reason.contains(told), "{reason}");
        let dials = server.dials();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(server.dials(), dials, "{code}: nothing is tried");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_error_that_nobody_knows_is_tried_three_times() {
    let server = TestServer::new(usual);
    let client = client(&server, &Arc::default()).await;
    this_dc(&client).await.unwrap();
    server.refuse_with(Some(418));
    let dials = server.dials();
    let error = this_dc(&client).await.unwrap_err();
    assert!(matches!(error, InvokeError::Protocol(ProtocolError::Refused(TransportError::Other(418)))), "{error}");
    assert!((2..=3).contains(&(server.dials() - dials)), "the connection there was counts too");
}
