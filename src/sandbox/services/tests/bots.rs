//! Bots: their tokens, and what they may not call.

use tdl_core::tl::api::{enums, functions as f, types};

use super::World;
use crate::state::bots;

fn import(token: &str) -> f::auth::ImportBotAuthorization {
    f::auth::ImportBotAuthorization { flags: 0, api_id: 1, api_hash: "x".into(), bot_auth_token: token.into() }
}

fn add(world: &World, dc: i32, secret: &str) -> i64 {
    let now = world.now;
    world
        .state
        .write(|tx| {
            let bot = bots::add(tx, dc, "Bot", Some("test_bot"), now)?;
            bots::give_token(tx, bot, secret)?;
            Ok::<_, rusqlite::Error>(bot)
        })
        .unwrap()
}

#[test]
fn a_bot_logs_in_with_its_token_where_it_lives() {
    let mut world = World::new();
    let bot = add(&world, 2, "secret");
    let (elsewhere, key) = (world.key(1), world.key(2));
    let token = format!("{bot}:secret");
    assert_eq!(world.fault(elsewhere, import(&token)), "USER_MIGRATE_2");
    let (_, person) = world.account("9996611111", "Ann");
    for wrong in ["", "secret", &format!("{bot}:"), &format!("{bot}:wrong"), "5:secret", &format!("{person}:secret")] {
        assert_eq!(world.fault(key, import(wrong)), "ACCESS_TOKEN_INVALID", "{wrong}");
    }
    let enums::auth::Authorization::Authorization(answer) = world.call(key, import(&token)).unwrap() else {
        panic!("it is in")
    };
    let enums::User::User(user) = answer.user else { panic!("a user") };
    assert_eq!((user.id, user.bot, user.is_self, user.phone.as_deref()), (bot, true, true, None));
    assert_eq!((user.first_name.as_deref(), user.username.as_deref(), user.status), (Some("Bot"), Some("test_bot"), None));
    world.state.write(|tx| bots::give_token(tx, bot, "other")).unwrap();
    let next = world.key(2);
    assert_eq!(world.fault(next, import(&token)), "ACCESS_TOKEN_EXPIRED");
    world.call(next, import(&format!("{bot}:other"))).unwrap();
    world.call(key, f::updates::GetState).unwrap();
}

#[test]
fn each_kind_of_account_has_methods_of_its_own() {
    let mut world = World::new();
    let bot = add(&world, 1, "secret");
    let key = world.key(1);
    // Whoever is nobody yet is told that first.
    assert_eq!(world.fault(key, f::contacts::GetContacts { hash: 0 }), "AUTH_KEY_UNREGISTERED");
    world.call(key, import(&format!("{bot}:secret"))).unwrap();
    assert_eq!(world.fault(key, f::contacts::GetContacts { hash: 0 }), "BOT_METHOD_INVALID");
    assert_eq!(world.fault(key, f::messages::GetDialogs::default()), "BOT_METHOD_INVALID");
    assert_eq!(world.fault(key, f::account::GetPassword), "BOT_METHOD_INVALID");
    assert_eq!(world.fault(key, f::auth::AcceptLoginToken { token: "x".into() }), "BOT_METHOD_INVALID");
    let commands = || f::bots::GetBotCommands { scope: enums::BotCommandScope::Default, lang_code: "".into() };
    let (person, person_id) = world.account("9996611111", "Ann");
    assert_eq!(world.fault(person, commands()), "USER_BOT_REQUIRED");
    assert!(world.fault(key, commands()).starts_with("INPUT_METHOD_INVALID_"), "that is not answered here");
    // They talk to each other.
    let text = |peer, random_id| f::messages::SendMessage {
        peer,
        message: "hello".into(),
        random_id,
        ..f::messages::SendMessage::default()
    };
    let peer = world.peer(person_id, bot);
    world.call(person, text(peer, 1)).unwrap();
    assert_eq!(world.told(), [person_id, bot]);
    let peer = world.peer(bot, person_id);
    world.call(key, text(peer, 2)).unwrap();
    assert_eq!(world.told(), [bot, person_id]);
    let file = f::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: "x".into() };
    assert!(world.call(key, file).unwrap());
    let contact = types::InputPhoneContact { phone: format!("bot{bot}").into(), first_name: "B".into(), ..Default::default() };
    let found = world.call(person, f::contacts::ImportContacts { contacts: vec![contact.into()] }).unwrap();
    let enums::contacts::ImportedContacts::Contacts(found) = found;
    assert!(found.imported.is_empty(), "a bot has no number");
}
