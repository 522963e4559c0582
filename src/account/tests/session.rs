//! Who is logged in, and logging out.

use super::*;

use functions::{auth::LogOut, users::GetUsers};

#[test]
fn whoami_asks_the_server_and_corrects_the_record() {
    assert!(matches!(run(whoami(&Script::default(), NOW)), Err(Error::NotLoggedIn)));

    let renamed: enums::User = types::User { id: 77, first_name: Some("Countess".into()), ..types::User::default() }.into();
    let api = Script::default().logged_in_before().step::<GetUsers>(vec![renamed]);
    assert_eq!(run(whoami(&api, NOW)).expect("asked").name(), "Countess");
    let record = api.account.borrow().clone().expect("there");
    assert_eq!((record.name.as_str(), record.logged_in_at), ("Countess", 5));

    let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    *api.account.borrow_mut() = None;
    run(whoami(&api, NOW)).expect("asked");
    assert_eq!(*api.account.borrow(), Some(me().record(NOW)), "a record that a crash prevented is made up for");

    let empty: enums::User = types::UserEmpty { id: 77 }.into();
    for users in [vec![], vec![empty]] {
        let api = Script::default().logged_in_before().step::<GetUsers>(users);
        assert!(matches!(run(whoami(&api, NOW)), Err(Error::Nonsense { method: "users.getUsers", .. })));
    }
}

#[test]
fn logging_out_keeps_everything_until_the_server_agrees() {
    assert!(matches!(run(logout(&Script::default())), Err(Error::NotLoggedIn)));

    let api = Script::default().logged_in_before().step::<LogOut>(enums::auth::LoggedOut::default());
    assert_eq!(run(logout(&api)).expect("done"), LoggedOut::Now);
    assert!(api.forgotten.get());

    let api = Script::default().logged_in_before().fails::<LogOut>(InvokeError::Unauthorized(Unauthorized::KeyUnregistered));
    assert_eq!(run(logout(&api)).expect("done"), LoggedOut::Before);
    assert!(api.forgotten.get());

    let api = Script::default().logged_in_before().fails::<LogOut>(rpc(500, "INTERNAL"));
    assert!(matches!(run(logout(&api)), Err(Error::Invoke(_))));
    assert!(!api.forgotten.get() && api.authorized.get());
}

#[test]
fn the_first_active_username_stands_in_for_a_missing_main_one() {
    let names = vec![
        types::Username { username: "old".into(), active: false, editable: false, ..Default::default() }.into(),
        types::Username { username: "new".into(), active: true, editable: false, ..Default::default() }.into(),
    ];
    let user: enums::User = types::User { id: 1, usernames: Some(names), ..types::User::default() }.into();
    let me = Me::read(&user).expect("a user");
    assert_eq!((me.username.as_deref(), me.name().as_str()), (Some("new"), "(no name)"));
}
