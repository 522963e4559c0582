//! Who is told of an update: over the wire, as clients see it.

use super::*;
use tdl_core::tl::dynamic;
use tdl_core::tl::{RawObject, layers};

const ANN: &str = "9996611111";

fn options() -> Options {
    plain(Kind::Intermediate)
}

/// Everything since a pts: the texts, and where the account stands.
fn missed(client: &mut Client, pts: i32) -> Vec<String> {
    let difference =
        f::updates::GetDifference { pts, pts_limit: None, pts_total_limit: None, date: 1, qts: 0, qts_limit: None };
    let answer = client.call(f::InvokeWithoutUpdates { query: difference }).unwrap();
    let enums::updates::Difference::Difference(found) = answer else { panic!("all of it") };
    let text = |message: &enums::Message| match message {
        enums::Message::Message(message) => message.message.to_string(),
        other => panic!("{other:?}"),
    };
    found.new_messages.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_key_only_the_session_that_was_active_last_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let mut writer = Client::new(&dcs[0], &pem, &options(), 1);
        writer.login(ANN);
        let mut send = {
            let mut n = 0;
            move |text: &str| {
                n += 1;
                writer.call(saved_message(text, n)).unwrap();
            }
        };
        let mut desktop = Client::new(&dcs[0], &pem, &options(), 2);
        desktop.login(ANN);
        let mut other = desktop.sibling(&dcs[0], &options(), 3);
        other.call(f::updates::GetState).unwrap();

        send("one");
        assert_eq!((desktop.texts(), other.texts()), (vec![], vec!["one".to_owned()]));
        // What moves file contents, and what is wrapped, leaves things as they are.
        let part = f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: Bytes::from_static(b"x") };
        assert!(desktop.call(part.clone()).unwrap());
        send("two");
        assert_eq!((desktop.texts(), other.texts()), (vec![], vec!["two".to_owned()]));
        desktop.call(f::InvokeWithoutUpdates { query: f::updates::GetState }).unwrap();
        desktop.call(f::InvokeWithLayer { layer: 230, query: f::InvokeWithoutUpdates { query: part } }).unwrap();
        send("three");
        assert_eq!((desktop.texts(), other.texts()), (vec![], vec!["three".to_owned()]));
        // Any other call takes the updates over.
        desktop.call(f::help::GetNearestDc).unwrap();
        send("four");
        assert_eq!((desktop.texts(), other.texts()), (vec!["four".to_owned()], vec![]));
        // What was not pushed is in the difference.
        assert_eq!(missed(&mut desktop, 1), ["one", "two", "three", "four"]);
        // A session keeps its place while it is away, so that the other one hears nothing; when it is destroyed, the other has it again.
        other.call(f::help::GetNearestDc).unwrap();
        other.stream.shutdown(std::net::Shutdown::Both).unwrap();
        send("five");
        assert_eq!(desktop.texts(), [""; 0]);
        desktop.session.destroy_session(other.session.session_id()).unwrap();
        // Answered in its turn, so before the answer to this.
        assert_eq!(desktop.texts(), [""; 0]);
        send("six");
        assert_eq!(desktop.texts(), ["six"]);
        assert_eq!(missed(&mut desktop, 5), ["five", "six"]);
    })
    .await;
    cluster.shutdown().await;
}

/// With forward secrecy each connection may have a key of its own: they stand for the permanent one, and are routed as it is.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_keys_are_one_with_the_key_that_they_are_bound_to() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let mut writer = Client::new(&dcs[0], &pem, &options(), 1);
        writer.login(ANN);
        let mut perm = Client::new(&dcs[0], &pem, &options(), 2);
        perm.login(ANN);
        let mode = Mode::Temporary { expires_in: 3600 };
        let mut temps: Vec<_> = (3..5).map(|seed| Client::with_mode(&dcs[0], &pem, &options(), seed, mode)).collect();
        for temp in &mut temps {
            temp.bind(&perm.key);
            temp.call(f::updates::GetState).unwrap();
        }
        writer.call(saved_message("one", 1)).unwrap();
        assert_eq!((perm.texts(), temps[0].texts(), temps[1].texts()), (vec![], vec![], vec!["one".to_owned()]));
        // A connection for file contents has one too, and begins with binding it: that subscribes to nothing.
        let mut files = Client::with_mode(&dcs[0], &pem, &options(), 6, mode);
        files.bind(&perm.key);
        let part = f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: Bytes::from_static(b"x") };
        assert!(files.call(part).unwrap());
        writer.call(saved_message("between", 3)).unwrap();
        assert_eq!((files.texts(), temps[1].texts()), (vec![], vec!["between".to_owned()]));
        // One layer as well: what is said under one key holds for what is pushed under the other.
        let layer = f::InvokeWithLayer { layer: 201, query: quiet() };
        temps[0].call_raw(layer.to_bytes()).unwrap();
        writer.call(saved_message("two", 2)).unwrap();
        let pushed = temps[1].next_update();
        assert!(dynamic::decode(layers::schema(201).unwrap(), pushed).is_ok());
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_sessions_of_an_account_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let mut clients: Vec<_> = (0..11)
            .map(|n| {
                let mut client = Client::new(&dcs[0], &pem, &options(), n + 1);
                client.login(ANN);
                client
            })
            .collect();
        let mut bob = Client::new(&dcs[0], &pem, &options(), 20);
        bob.login("9996612222");
        let enums::contacts::ResolvedPeer::Peer(found) = bob.call(f::contacts::ResolvePhone { phone: ANN.into() }).unwrap();
        let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
        let peer: enums::InputPeer = types::InputPeerUser { user_id: user.id, access_hash: user.access_hash.unwrap() }.into();
        let mut n = 0;
        let mut send = |text: &str| {
            n += 1;
            let peer = peer.clone();
            bob.call(f::messages::SendMessage { peer, message: text.into(), random_id: n, ..Default::default() }).unwrap();
        };
        send("one");
        let told: Vec<usize> = clients.iter_mut().map(|client| client.texts().len()).collect();
        assert_eq!(told, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "the one that logged in first is the eleventh");
        // It comes back in by calling something, and the next one is out.
        clients[0].call(f::updates::GetState).unwrap();
        send("two");
        let told: Vec<usize> = clients.iter_mut().map(|client| client.texts().len()).collect();
        assert_eq!(told, [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        // The one that causes an update is one of the ten, and has its answer instead.
        clients[5].call(saved_message("three", 99)).unwrap();
        let told: Vec<usize> = clients.iter_mut().map(|client| client.texts().len()).collect();
        assert_eq!(told, [1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
        assert_eq!(missed(&mut clients[1], 1), ["one", "two", "three"]);
    })
    .await;
    cluster.shutdown().await;
}

/// What the issue is about: a desktop client of an older layer, and somebody who borrows its key.
#[tokio::test(flavor = "multi_thread")]
async fn who_borrows_a_key_changes_the_layer_of_what_its_owner_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let mut writer = Client::new(&dcs[0], &pem, &options(), 1);
        writer.login(ANN);
        let mut desktop = Client::new(&dcs[0], &pem, &options(), 2);
        desktop.login(ANN);
        let own = |query| f::InvokeWithLayer { layer: 201, ..introduced(query) };
        desktop.call_raw(own(RawObject(f::updates::GetState.to_bytes())).to_bytes()).unwrap();
        let told_in = |update: Bytes, layer: i32| {
            let message = layers::schema(layer).unwrap().constructor("message").unwrap().id.to_le_bytes();
            update.windows(4).any(|window| window == message)
        };
        writer.call(saved_message("mine", 1)).unwrap();
        let update = desktop.next_update();
        assert!(told_in(update.clone(), 201) && !told_in(update, 230));

        // It subscribes to nothing, but says another layer and another device.
        let mut borrower = desktop.sibling(&dcs[0], &options(), 3);
        let mut call = introduced(f::InvokeWithoutUpdates { query: RawObject(f::updates::GetState.to_bytes()) });
        call.query.device_model = "Borrower".into();
        borrower.call_raw(call.to_bytes()).unwrap();
        writer.call(saved_message("not asked for", 2)).unwrap();
        let update = desktop.next_update();
        assert!(told_in(update.clone(), 230) && !told_in(update.clone(), 201));
        assert!(dynamic::decode(layers::schema(201).unwrap(), update).is_err(), "it cannot even be read");
        assert!(borrower.told().is_empty());
        let device = |client: &mut Client| {
            let enums::account::Authorizations::Authorizations(list) =
                client.call(f::InvokeWithoutUpdates { query: f::account::GetAuthorizations }).unwrap();
            let own = list.authorizations.iter().find_map(|a| match a {
                enums::Authorization::Authorization(a) => a.current.then(|| a.device_model.to_string()),
            });
            own.unwrap()
        };
        assert_eq!(device(&mut borrower), "Borrower", "there is one device record");
        // Answers stay in the layer of the session, which is how it finds out at all.
        let answer = desktop.call_raw(saved_message("own", 3).to_bytes());
        assert_eq!(answer.unwrap_err().name, "INPUT_METHOD_INVALID", "it is still a client of layer 201");

        // Until it says again who it is.
        desktop.call_raw(own(RawObject(f::updates::GetState.to_bytes())).to_bytes()).unwrap();
        writer.call(saved_message("mine again", 4)).unwrap();
        assert!(told_in(desktop.next_update(), 201));
        assert_eq!(device(&mut borrower), "Test");
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_session_reads_is_read_for_all_and_the_writer_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        let mut ann = Client::new(&dcs[0], &pem, &options(), 1);
        let ann_id = ann.login(ANN);
        let mut phone = Client::new(&dcs[0], &pem, &options(), 2);
        phone.login(ANN);
        let mut bob = Client::new(&dcs[0], &pem, &options(), 3);
        let bob_id = bob.login("9996612222");
        let resolve = |client: &mut Client, phone: &str| -> enums::InputPeer {
            let enums::contacts::ResolvedPeer::Peer(found) =
                client.call(f::contacts::ResolvePhone { phone: phone.into() }).unwrap();
            let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
            types::InputPeerUser { user_id: user.id, access_hash: user.access_hash.unwrap() }.into()
        };
        let (to_ann, to_bob) = (resolve(&mut bob, ANN), resolve(&mut ann, "9996612222"));
        for n in 1..=3 {
            let peer = to_ann.clone();
            bob.call(f::messages::SendMessage { peer, message: "x".into(), random_id: n, ..Default::default() }).unwrap();
        }
        let unread = |client: &mut Client| {
            let dialogs = client.call(f::messages::GetDialogs { limit: 10, ..Default::default() }).unwrap();
            let enums::messages::Dialogs::Dialogs(list) = dialogs else { panic!("all of them") };
            let [enums::Dialog::Dialog(dialog)] = list.dialogs.as_slice() else { panic!("one chat") };
            (dialog.unread_count, dialog.read_inbox_max_id, dialog.read_outbox_max_id)
        };
        assert_eq!((unread(&mut ann), unread(&mut phone), unread(&mut bob)), ((3, 0, 0), (3, 0, 0), (0, 0, 0)));
        for client in [&mut ann, &mut phone, &mut bob] {
            client.heard.clear();
        }
        ann.call(f::messages::ReadHistory { peer: to_bob, max_id: 2 }).unwrap();
        let only = |update: enums::Updates| {
            let enums::Updates::Updates(updates) = update else { panic!("{update:?}") };
            let [update] = updates.updates.as_slice() else { panic!("one update") };
            update.clone()
        };
        let enums::Update::ReadHistoryInbox(inbox) = only(phone.update()) else { panic!("read marks of the inbox") };
        let peer = |user_id| enums::Peer::from(types::PeerUser { user_id });
        assert_eq!((inbox.peer, inbox.max_id, inbox.still_unread_count), (peer(bob_id), 2, 1));
        let enums::Update::ReadHistoryOutbox(outbox) = only(bob.update()) else { panic!("read marks of the outbox") };
        assert_eq!((outbox.peer, outbox.max_id), (peer(ann_id), 2));
        assert_eq!((unread(&mut ann), unread(&mut phone), unread(&mut bob)), ((1, 2, 0), (1, 2, 0), (0, 0, 2)));
        assert!(ann.told().is_empty(), "who read it has the answer");
    })
    .await;
    cluster.shutdown().await;
}

/// "Service Messages", New session creation: a client that has it knows that updates may be missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_made_anew_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    let mut client = {
        let dcs = dcs.clone();
        beside(move || {
            let mut client = Client::new(&dcs[0], &pem, &options(), 1);
            client.login(ANN);
            client.call(quiet()).unwrap();
            client
        })
        .await
    };
    assert_eq!(client.created.len(), 1);
    cluster.shutdown().await;
    let (cluster, dcs, _) = cluster_with(dir.path(), without_notices()).await;
    beside(move || {
        client.reconnect(&dcs[0], &options());
        client.call(quiet()).unwrap();
        let [first, second] = client.created.as_slice() else { panic!("twice: {:?}", client.created) };
        assert_ne!(first, second, "each time another number");
    })
    .await;
    cluster.shutdown().await;
}
