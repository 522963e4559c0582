//! Tests of what the command line makes of arguments.

use serde_json::{Value as Json, json};
use tdl::tl::{
    api::{enums::InputPeer, types},
    compiled_schema,
    dynamic::json::{JsonOptions, from_json_of},
    schema::Definition,
};

use super::{
    arguments::{Source, parse},
    fill::{Filled, Filler, PeerKind, Shortcuts},
    methods, show,
};

fn method(name: &str) -> &'static Definition {
    compiled_schema().function(name).unwrap_or_else(|| panic!("{name}"))
}

fn typed(name: &str, words: &[&str]) -> Result<Json, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let read = |source: Source<'_>| match source {
        Source::Stdin => Ok(r#"{"limit":7}"#.to_owned()),
        Source::File("good.json") => Ok(r#"{"_":"messages.getHistory","limit":8}"#.to_owned()),
        Source::File(path) => Err(format!("{path}: not there")),
    };
    parse(method(name), &words, read).map(Json::Object)
}

#[test]
fn words_become_fields() {
    let history = |words: &[&str]| typed("messages.getHistory", words).unwrap();
    assert_eq!(history(&[]), json!({}));
    assert_eq!(history(&["peer=@durov", "limit=3"]), json!({ "peer": "@durov", "limit": 3 }));
    assert_eq!(history(&["-", "offset_id=-4"]), json!({ "limit": 7, "offset_id": -4 }));
    assert_eq!(history(&["@good.json", "limit=9"]), json!({ "limit": 9 }), "what is typed stands in place of what is read");
    assert_eq!(history(&["peer=12345"]), json!({ "peer": "12345" }), "an id names a peer");
    assert_eq!(history(&[r#"peer={"_":"inputPeerSelf"}"#]), json!({ "peer": { "_": "inputPeerSelf" } }));
    assert_eq!(history(&["peer._=inputPeerChat", "peer.chat_id=5"]), json!({ "peer": { "_": "inputPeerChat", "chat_id": 5 } }));
    let send = |words: &[&str]| typed("messages.sendMessage", words).unwrap();
    assert_eq!(send(&["message=42"]), json!({ "message": "42" }), "text stays text");
    assert_eq!(send(&[r#"message="a\nb""#]), json!({ "message": "a\nb" }));
    assert_eq!(send(&["message=a=b {c}"]), json!({ "message": "a=b {c}" }));
    assert_eq!(send(&["message="]), json!({ "message": "" }));
    assert_eq!(send(&["silent=true"]), json!({ "silent": true }));
    assert_eq!(typed("users.getUsers", &["id=me"]).unwrap(), json!({ "id": "me" }));
    assert_eq!(typed("users.getUsers", &[r#"id=["me"]"#]).unwrap(), json!({ "id": ["me"] }));
    assert_eq!(typed("messages.getMessages", &["id=5"]).unwrap(), json!({ "id": "5" }));
}

#[test]
fn what_is_no_argument_is_named() {
    let error = |words: &[&str]| typed("messages.getHistory", words).unwrap_err();
    assert!(error(&["peer"]).contains("'peer' is no JSON object"));
    assert!(error(&["@"]).contains("'@' is no JSON object"));
    assert!(error(&["a-b=1"]).contains("'a-b=1' is no JSON object"));
    assert!(error(&["a..b=1"]).contains("is no JSON object"));
    assert_eq!(error(&["@bad.json"]), "bad.json: not there");
    assert_eq!(error(&["-", "{}"]), "more than one JSON object is given");
    assert!(error(&["{"]).starts_with("the arguments are no JSON: "));
    assert_eq!(error(&[r#"{"_":"help.getConfig"}"#]), r#"the arguments are those of 'help.getConfig', as their "_" says"#);
    assert_eq!(error(&["peer=me", "peer.chat_id=5"]), "'peer' is given as a whole and as peer.chat_id as well");
}

fn filled(name: &str, arguments: Json, empty: bool) -> (Result<Json, String>, Vec<String>) {
    let Json::Object(mut arguments) = arguments else { panic!("{arguments}") };
    let peers = [
        ("me", InputPeer::PeerSelf),
        ("@ada", types::InputPeerUser { user_id: 7, access_hash: -1 }.into()),
        ("@news", types::InputPeerChannel { channel_id: 8, access_hash: 2 }.into()),
        ("9", types::InputPeerChat { chat_id: 9 }.into()),
    ];
    let shortcuts = Shortcuts::new(peers.into_iter().map(|(name, peer)| (name.to_owned(), peer)).collect());
    let mut next = 0x1_0000_0000;
    let mut random = || {
        next += 0x1_0000_0000;
        next
    };
    let mut shortcut = |kind: PeerKind, text: &str| shortcuts.get(kind, text);
    let mut notes = Filled::default();
    let mut filler = Filler { schema: compiled_schema(), empty, shortcut: &mut shortcut, random: &mut random };
    let result = filler.method(method(name), &mut arguments, &mut notes);
    (result.map(|()| Json::Object(arguments)), notes.notes())
}

#[test]
fn peers_are_named_shortly_wherever_they_stand() {
    let of = |name, arguments| filled(name, arguments, false).0;
    let user = json!({ "_": "inputPeerUser", "user_id": "7", "access_hash": "-1" });
    assert_eq!(of("messages.getHistory", json!({ "peer": "@ada" })), Ok(json!({ "peer": user })));
    assert_eq!(
        of("messages.getHistory", json!({ "peer": 9 })),
        Ok(json!({ "peer": { "_": "inputPeerChat", "chat_id": "9" } }))
    );
    assert_eq!(
        of("users.getUsers", json!({ "id": "me" })),
        Ok(json!({ "id": [{ "_": "inputUserSelf" }] })),
        "one thing is a list of one"
    );
    assert_eq!(
        of("channels.getChannels", json!({ "id": ["@news"] })),
        Ok(json!({ "id": [{ "_": "inputChannel", "channel_id": "8", "access_hash": "2" }] }))
    );
    assert_eq!(
        of("messages.getPeerDialogs", json!({ "peers": [{ "_": "inputDialogPeer", "peer": "@ada" }] })),
        Ok(json!({ "peers": [{ "_": "inputDialogPeer", "peer": user }] }))
    );
    assert_eq!(
        of("channels.getChannels", json!({ "id": ["@ada"] })),
        Err("id[0]: '@ada' is not a channel or supergroup".to_owned())
    );
    assert_eq!(of("users.getUsers", json!({ "id": "9" })), Err("id[0]: '9' is not a user".to_owned()));
    assert_eq!(
        of("messages.search", json!({ "filter": "inputMessagesFilterEmpty", "peer": "inputPeerSelf" })),
        Ok(json!({ "filter": { "_": "inputMessagesFilterEmpty" }, "peer": { "_": "inputPeerSelf" } })),
        "constructors too"
    );
    assert_eq!(
        of("messages.getMessages", json!({ "id": "5" })),
        Ok(json!({ "id": [{ "_": "inputMessageID", "id": 5 }] })),
        "and messages by number"
    );
    // Text stays text.
    assert_eq!(of("messages.search", json!({ "q": "me" })), Ok(json!({ "q": "me" })));
}

#[test]
fn random_ids_are_drawn_where_they_are_missing() {
    let (result, notes) = filled("messages.sendMessage", json!({ "peer": "me", "message": "x" }), false);
    assert_eq!(result.unwrap()["random_id"], "8589934592");
    assert_eq!(notes, ["random_id was missing and has been drawn: 8589934592"]);
    let (result, notes) = filled("messages.sendMessage", json!({ "random_id": 5 }), false);
    assert_eq!((result.unwrap(), notes.len()), (json!({ "random_id": 5 }), 0));
    let (result, _) = filled("messages.forwardMessages", json!({ "id": [1, 2] }), false);
    assert_eq!(result.unwrap()["random_id"], json!(["8589934592", "12884901888"]), "one for each message");
    let item = json!({ "_": "inputSingleMedia", "message": "" });
    let (result, notes) = filled("messages.sendMultiMedia", json!({ "multi_media": [item, item] }), false);
    assert_eq!(result.unwrap()["multi_media"][1]["random_id"], "12884901888");
    assert_eq!(notes.len(), 2);
    let (result, _) = filled("phone.requestCall", json!({}), false);
    assert_eq!(result.unwrap()["random_id"], 2);
    // That of sponsored messages is the server's.
    assert_eq!(filled("messages.viewSponsoredMessage", json!({}), false).0.unwrap(), json!({}));
}

#[test]
fn the_rest_is_filled_if_that_is_wanted() {
    let (result, notes) = filled("messages.getHistory", json!({ "peer": "me", "limit": 3 }), true);
    let result = result.unwrap();
    assert_eq!((&result["hash"], &result["max_id"], &result["limit"]), (&json!("0"), &json!(0), &json!(3)));
    assert_eq!(notes, ["filled with empty values: offset_id, offset_date, add_offset, max_id, min_id, hash"]);
    assert!(from_json_of(compiled_schema(), method("messages.getHistory"), &result, &JsonOptions::default()).is_ok());
    let (result, _) = filled("messages.search", json!({ "peer": "me" }), true);
    assert_eq!(result.unwrap()["filter"], json!({ "_": "inputMessagesFilterEmpty" }));
    let (result, notes) = filled("messages.getHistory", json!({ "peer": "me" }), false);
    assert_eq!((result.unwrap()["hash"].clone(), notes.len()), (Json::Null, 0));
}

/// What `--show` prints can be called, whatever the method.
#[test]
fn every_example_is_good() {
    let schema = compiled_schema();
    let methods = methods::all(schema);
    assert!(methods.len() > 700, "{}", methods.len());
    for method in methods {
        let Json::Object(mut arguments) = show::example(schema, method) else { panic!("{}", method.name) };
        let mut shortcut = |kind: PeerKind, _: &str| Ok(kind.nobody());
        let mut filler = Filler { schema, empty: false, shortcut: &mut shortcut, random: &mut || 1 };
        filler.method(method, &mut arguments, &mut Filled::default()).unwrap_or_else(|why| panic!("{}: {why}", method.name));
        let arguments = Json::Object(arguments);
        if let Err(error) = from_json_of(schema, method, &arguments, &JsonOptions::default()) {
            panic!("{}: {error}\n{arguments:#}", method.name);
        }
    }
}

#[test]
fn methods_are_found_as_they_are_meant() {
    let find = |name: &str| methods::find(compiled_schema(), name).map(|it| it.name.as_str()).map_err(|e| e.advice.unwrap());
    let advised = |text: &str| Err(text.to_owned());
    assert_eq!(find("messages.sendMessage"), Ok("messages.sendMessage"));
    assert_eq!(find("messages.sendmessage"), Ok("messages.sendMessage"));
    assert_eq!(find("message.sendMessage"), advised("did you mean messages.sendMessage?"));
    assert_eq!(find("messages.sendMesage"), advised("did you mean messages.sendMessage?"));
    assert!(find("help.getConfgi").unwrap_err().contains("help.getConfig"));
    assert_eq!(find("zzz"), advised("`tdl call --list` lists them all"));
    assert!(find(&"help.getConfig".repeat(1000)).is_err());
    assert!(find("ping").unwrap_err().contains("tdl dc ping"));
}

#[test]
fn the_protocols_own_functions_are_no_methods() {
    let schema = compiled_schema();
    assert!(methods::SERVICE.iter().all(|name| schema.function(name).is_some()));
    // Everything else without a namespace wraps another call.
    let others: Vec<&str> = methods::all(schema).iter().map(|it| it.name.as_str()).filter(|name| !name.contains('.')).collect();
    assert!(others.iter().all(|name| name.starts_with("invoke") || *name == "initConnection"), "{others:?}");
}

#[test]
fn deep_arguments_end() {
    let mut deep = json!({ "_": "invokeWithoutUpdates", "query": "help.getConfig" });
    for _ in 0..200 {
        deep = json!({ "_": "invokeWithoutUpdates", "query": deep });
    }
    let Json::Object(mut arguments) = deep else { panic!("{deep}") };
    arguments.remove("_");
    let mut shortcut = |kind: PeerKind, _: &str| Ok(kind.nobody());
    let mut filler = Filler { schema: compiled_schema(), empty: true, shortcut: &mut shortcut, random: &mut || 1 };
    filler.method(method("invokeWithoutUpdates"), &mut arguments, &mut Filled::default()).unwrap();
    let result =
        from_json_of(compiled_schema(), method("invokeWithoutUpdates"), &Json::Object(arguments), &JsonOptions::default());
    assert!(result.is_err(), "too deep, and said so");
}
