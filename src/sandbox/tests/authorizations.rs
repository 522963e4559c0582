//! Authorizations over the wire: keys in two places, new ones, old ones, ended ones.

use super::*;
use crate::{Command, Reply, Rules, Standing};

const ANN: &str = "9996611111";
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn options() -> Options {
    plain(Kind::Intermediate)
}

fn refused(client: &mut Client) -> (i32, String) {
    let error = client.call(f::updates::GetState).unwrap_err();
    (error.code, error.message)
}

/// Lets a client go, and returns when the server knows: it closes its end only after it has noticed.
fn gone(mut client: Client) {
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    client.stream.read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_used_from_two_addresses_at_once_is_nobodys_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), Rules::default()).await;
    beside(move || {
        let mut first = Client::new(&dcs[0], &pem, &options(), 1);
        first.login(ANN);
        // Another session at the same address is none of this; nor is one that has moved, or one that has called nothing.
        let mut same = first.sibling(&dcs[0], &options(), 2);
        same.call(f::updates::GetState).unwrap();
        gone(same);
        first.reconnect_from(ELSEWHERE, &dcs[0], &options());
        first.call(f::updates::GetState).unwrap();
        first.reconnect(&dcs[0], &options());
        first.call(f::updates::GetState).unwrap();
        let enums::account::Authorizations::Authorizations(list) = first.call(f::account::GetAuthorizations).unwrap();
        let [enums::Authorization::Authorization(own)] = list.authorizations.as_slice() else { panic!("one") };
        assert_eq!(&*own.ip, "127.0.0.1");

        let mut second = first.sibling_from(ELSEWHERE, &dcs[0], &options(), 3);
        let duplicated = (406, "AUTH_KEY_DUPLICATED".to_owned());
        let unregistered = (401, "AUTH_KEY_UNREGISTERED".to_owned());
        assert_eq!(refused(&mut second), duplicated);
        assert_eq!(refused(&mut first), duplicated, "both are told");
        for client in [&mut first, &mut second] {
            assert_eq!(refused(client), unregistered);
        }
        // The key itself is good for another login, in one place.
        drop(second);
        first.login(ANN);
        first.call(f::updates::GetState).unwrap();
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_addresses_one_after_the_other_or_without_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = Rules::default();
    let (cluster, dcs, pem) = cluster_with(dir.path(), rules).await;
    let mut client = beside(move || {
        let mut first = Client::new(&dcs[0], &pem, &options(), 1);
        first.login(ANN);
        let mut second = first.sibling_from(ELSEWHERE, &dcs[0], &options(), 2);
        // The first one has gone before the second one comes.
        gone(first);
        second.call(f::updates::GetState).unwrap();
        second
    })
    .await;
    cluster.shutdown().await;
    rules.duplicates = false;
    let (cluster, dcs, _) = cluster_with(dir.path(), rules).await;
    beside(move || {
        client.reconnect(&dcs[0], &options());
        client.call(f::updates::GetState).unwrap();
        let mut other = client.sibling_from(ELSEWHERE, &dcs[0], &options(), 3);
        other.call(f::updates::GetState).unwrap();
        client.call(f::updates::GetState).unwrap();
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_hear_of_a_new_authorization() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), Rules::default()).await;
    beside(move || {
        let mut first = Client::new(&dcs[0], &pem, &options(), 1);
        first.login(ANN);
        let mut second = Client::new(&dcs[0], &pem, &options(), 2);
        second.login(ANN);
        let told: Vec<_> = first.told().into_iter().map(|update| enums::Updates::from_bytes(update).unwrap()).collect();
        let [code, new, message] = told.as_slice() else { panic!("three: {told:?}") };
        assert!(texts_of(code)[0].starts_with("Login code: 11111."), "{code:?}");
        assert!(texts_of(message)[0].starts_with("New login."), "{message:?}");
        let enums::Updates::Updates(new) = new else { panic!("{new:?}") };
        assert!(matches!(new.updates.as_slice(), [enums::Update::NewAuthorization(new)] if new.unconfirmed));
        assert!(second.told().is_empty(), "it knows that it is new");
    })
    .await;
    cluster.shutdown().await;
}

/// What depends on age is tried without waiting.
#[tokio::test(flavor = "multi_thread")]
async fn authorizations_are_made_older_and_accounts_deactivated() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, dcs, pem) = cluster_with(dir.path(), without_notices()).await;
    let (mut first, mut second, mut bob) = beside(move || {
        let mut first = Client::new(&dcs[0], &pem, &options(), 1);
        first.login(ANN);
        let mut second = Client::new(&dcs[0], &pem, &options(), 2);
        second.login(ANN);
        let mut bob = Client::new(&dcs[0], &pem, &options(), 3);
        bob.login("9996612222");
        assert_eq!(first.call(f::auth::ResetAuthorizations).unwrap_err().name, "FRESH_RESET_AUTHORISATION_FORBIDDEN");
        (first, second, bob)
    })
    .await;
    let day = 86_400;
    let age = |phone: Option<&str>, seconds| Command::Age { phone: phone.map(Into::into), seconds };
    assert_eq!(cluster.command(age(Some("+99966 1 1111"), day)).unwrap(), Reply::Count(2));
    assert!(matches!(cluster.command(age(None, -1)), Err(crate::control::CommandError::Age(-1))));
    assert!(matches!(cluster.command(age(Some("9996613333"), 1)), Err(crate::control::CommandError::NoAccount(_))));
    let (mut first, mut bob) = beside(move || {
        assert_eq!(bob.call(f::auth::ResetAuthorizations).unwrap_err().name, "FRESH_RESET_AUTHORISATION_FORBIDDEN");
        assert!(first.call(f::auth::ResetAuthorizations).unwrap());
        assert_eq!(refused(&mut second), (401, "SESSION_REVOKED".to_owned()));
        first.told();
        (first, bob)
    })
    .await;
    // Half a year later: nobody has to look for them to be gone, and nobody is told anything.
    assert_eq!(cluster.command(age(None, 200 * day)).unwrap(), Reply::Count(2));
    let mut bob = beside(move || {
        assert_eq!(refused(&mut first), (401, "SESSION_EXPIRED".to_owned()));
        assert_eq!(refused(&mut bob), (401, "SESSION_EXPIRED".to_owned()));
        bob.login("9996612222");
        bob
    })
    .await;
    let standing = |standing| Command::SetStanding { phone: "9996612222".to_owned(), standing };
    cluster.command(standing(Standing::Banned)).unwrap();
    bob = beside(move || {
        assert_eq!(refused(&mut bob), (401, "USER_DEACTIVATED_BAN".to_owned()));
        bob
    })
    .await;
    cluster.command(standing(Standing::Good)).unwrap();
    beside(move || bob.call(f::updates::GetState).unwrap()).await;
    cluster.shutdown().await;
}
