//! Tests of translation: between bundled layers, between small schemas made for one rule each, and of the rules as a whole.

use std::collections::{BTreeSet, HashSet};

use super::pattern::Pattern;
use super::rules::Rules;
use super::*;
use crate::api::{enums, functions, types};
use crate::layers::{bundled, schema};
use crate::schema::parse;
use crate::{Deserialize, Identifiable, RawObject, Serialize, api};

const NEWEST: i32 = api::LAYER;

fn between(from: i32, to: i32) -> Translator {
    Translator::between(from, to).unwrap()
}

/// The value that these bytes are in a layer, as text.
fn shown(layer: i32, bytes: Bytes) -> String {
    format!("{:?}", dynamic::decode(schema(layer).unwrap(), bytes).unwrap())
}

fn lack(error: TranslateError) -> (String, Lack) {
    match error {
        TranslateError::Inexpressible(error) => (error.path, error.lack),
        other => panic!("{other}"),
    }
}

fn send(text: &str) -> functions::messages::SendMessage {
    functions::messages::SendMessage {
        peer: enums::InputPeer::PeerSelf,
        message: text.into(),
        random_id: 7,
        ..Default::default()
    }
}

#[test]
fn the_same_layer_and_parts_of_files_pass_untouched() {
    let part = functions::upload::SaveFilePart { file_id: 1, file_part: 2, bytes: vec![3; 4096].into() };
    let (call, garbage) = (part.to_bytes(), Bytes::from_static(&[1, 2, 3, 4, 5]));
    let same = between(201, 201);
    for body in [same.request(garbage.clone()), same.result(1, garbage.clone()), same.object(garbage.clone())] {
        assert_eq!(body.unwrap().as_ptr(), garbage.as_ptr());
    }
    let older = between(NEWEST, 201);
    assert_eq!(older.request(call.clone()).unwrap().as_ptr(), call.as_ptr());
    let file = types::upload::File { r#type: enums::storage::FileType::FileUnknown, mtime: 1, bytes: vec![3; 4096].into() };
    let file = enums::upload::File::from(file).to_bytes();
    let method = functions::upload::GetFile::ID;
    assert_eq!(older.result(method, file.clone()).unwrap().as_ptr(), file.as_ptr());
    for layer in bundled() {
        let older = between(NEWEST, *layer);
        assert!(older.passes_request(functions::upload::SaveBigFilePart::ID) && older.passes_result(method), "{layer}");
    }
    assert!(!older.passes_request(functions::messages::SendMessage::ID) && !older.passes_request(1) && !older.passes_result(1));
}

#[test]
fn a_call_is_translated_with_all_that_is_around_it() {
    let inner = send("hello");
    let wrapped = functions::InvokeWithLayer {
        layer: NEWEST,
        query: functions::InitConnection {
            api_id: 1,
            device_model: "d".into(),
            system_version: "s".into(),
            app_version: "a".into(),
            system_lang_code: "en".into(),
            lang_pack: "".into(),
            lang_code: "en".into(),
            proxy: None,
            params: None,
            query: functions::InvokeWithoutUpdates { query: functions::InvokeAfterMsg { msg_id: 5, query: inner } },
        },
    };
    let bytes = between(NEWEST, 201).request(wrapped.to_bytes()).unwrap();
    let text = shown(201, bytes.clone());
    assert!(text.starts_with("invokeWithLayer { layer: 201, query: initConnection { api_id: 1, device_model: \"d\""), "{text}");
    assert!(
        text.contains("invokeAfterMsg { msg_id: 5, query: messages.sendMessage { peer: inputPeerSelf, message: \"hello\""),
        "{text}"
    );
    assert!(bytes.windows(4).any(|id| id == 0xfbf2_340a_u32.to_le_bytes()), "the id of layer 201");
    assert_eq!(between(201, NEWEST).request(bytes).unwrap(), wrapped.to_bytes());

    // Another layer in it is not ours to change, and what does not change at all is not copied.
    let other = functions::InvokeWithLayer { layer: 5, query: functions::help::GetConfig }.to_bytes();
    assert_eq!(between(NEWEST, 201).request(other.clone()).unwrap().as_ptr(), other.as_ptr());
}

#[test]
fn a_request_loses_nothing_that_is_set() {
    let older = between(NEWEST, 158);
    let reply = types::InputReplyToMessage { reply_to_msg_id: 9, top_msg_id: Some(4), ..Default::default() };
    let call = functions::messages::SendMessage { reply_to: Some(reply.clone().into()), silent: true, ..send("x") };
    let bytes = older.request(call.to_bytes()).unwrap();
    let text = shown(158, bytes.clone());
    assert!(text.contains("silent: true, peer: inputPeerSelf, reply_to_msg_id: 9, top_msg_id: 4, message: \"x\""), "{text}");
    assert_eq!(between(158, NEWEST).request(bytes).unwrap(), call.to_bytes());

    let quoting = types::InputReplyToMessage { quote_text: Some("q".into()), ..reply };
    let call = functions::messages::SendMessage { reply_to: Some(quoting.into()), ..send("x") };
    let error = older.request(call.to_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "messages.sendMessage.reply_to: messages.sendMessage has no field reply_to there (layer 230 to layer 158)"
    );
    let call = functions::messages::SendMessage { effect: Some(1), ..send("x") };
    let (path, what) = lack(older.request(call.to_bytes()).unwrap_err());
    assert_eq!(path, "messages.sendMessage.effect");
    assert_eq!(what, Lack::Field { definition: "messages.sendMessage".to_owned(), field: "effect".to_owned() });

    let wrapped = functions::InvokeWithoutUpdates { query: functions::wallet::GetState };
    let (path, what) = lack(older.request(wrapped.to_bytes()).unwrap_err());
    assert_eq!((path.as_str(), what), ("wallet.getState", Lack::Method("wallet.getState".to_owned())));

    let todo = functions::messages::SendMedia {
        peer: enums::InputPeer::PeerSelf,
        media: types::InputMediaDice { emoticon: "x".into() }.into(),
        ..Default::default()
    };
    assert!(older.request(todo.to_bytes()).is_ok());
    let story = types::InputMediaStory { peer: enums::InputPeer::PeerSelf, id: 1 };
    let call = functions::messages::SendMedia { media: story.into(), ..todo };
    let (path, what) = lack(older.request(call.to_bytes()).unwrap_err());
    assert_eq!((path.as_str(), what), ("messages.sendMedia.media", Lack::Constructor("inputMediaStory".to_owned())));
}

#[test]
fn answers_are_known_by_the_id_of_either_layer() {
    let (down, up) = (between(NEWEST, 201), between(201, NEWEST));
    let users = vec![enums::User::from(types::User { id: 5, first_name: Some("f".into()), ..Default::default() })].to_bytes();
    let method = functions::users::GetUsers::ID;
    let older = down.result(method, users.clone()).unwrap();
    assert_ne!(older, users);
    assert_eq!(up.result(method, older).unwrap(), users);

    // A method that was in another place: both its ids, for the answer of layer 201.
    let there = schema(201).unwrap().function("channels.getForumTopics").unwrap();
    let forum = schema(201).unwrap().constructor("messages.forumTopics").unwrap();
    let values = forum.params.iter().map(|param| match param.ty {
        Type::Flags => Value::Flags(0),
        Type::Int => Value::Int(3),
        Type::Vector { .. } => Value::Vector(Vec::new()),
        _ => Value::Absent,
    });
    let mut bytes = Vec::new();
    let answer = Value::Object(Object { definition: forum, values: values.collect() });
    dynamic::encode(schema(201).unwrap(), &answer, &mut bytes).unwrap();
    let bytes = Bytes::from(bytes);
    let one = up.result(there.id, bytes.clone()).unwrap();
    assert_eq!(one, up.result(functions::messages::GetForumTopics::ID, bytes).unwrap());
    enums::messages::ForumTopics::from_bytes(one).unwrap();

    let yes = true.to_bytes();
    assert_eq!(up.result(functions::account::UpdateStatus::ID, yes.clone()).unwrap(), yes);
    assert_eq!(up.result(1, yes).unwrap_err(), TranslateError::UnknownMethod { id: 1, from: 201, to: NEWEST });
}

#[test]
fn an_answer_whose_type_changed_is_lifted() {
    let up = between(201, NEWEST);
    let updates = enums::Updates::TooLong.to_bytes();
    let lifted = up.result(functions::channels::JoinChannel::ID, updates.clone()).unwrap();
    assert_eq!(shown(NEWEST, lifted.clone()), "messages.chatInviteJoinResultOk { updates: updatesTooLong }");
    assert_eq!(between(NEWEST, 201).result(functions::channels::JoinChannel::ID, lifted).unwrap(), updates);
    // A bare vector of numbers where there is one of objects now.
    let up = between(216, NEWEST);
    let ids = vec![0i32, 7].to_bytes();
    let method = functions::stories::GetPeerMaxIds::ID;
    let lifted = up.result(method, ids.clone()).unwrap();
    let read = Vec::<enums::RecentStory>::from_bytes(lifted.clone()).unwrap();
    assert_eq!(format!("{read:?}"), "[recentStory, recentStory { max_id: 7 }]");
    assert_eq!(between(NEWEST, 216).result(method, lifted).unwrap(), ids);
}

#[test]
fn updates_that_an_older_layer_lacks_are_dropped_and_the_rest_stays() {
    let message = types::Message {
        id: 1,
        peer_id: types::PeerUser { user_id: 2 }.into(),
        message: "m".into(),
        media: Some(types::MessageMediaToDo::default().into()),
        entities: Some(vec![
            types::MessageEntityBold { offset: 0, length: 1 }.into(),
            types::MessageEntityTonAddress { offset: 0, length: 1 }.into(),
        ]),
        ..Default::default()
    };
    let new = types::UpdateNewMessage { message: message.into(), pts: 3, pts_count: 1 };
    let chat = types::CommunityForbidden { id: 12, title: "c".into(), ..Default::default() };
    let updates = types::Updates {
        updates: vec![enums::Update::WalletTonConnectPendingDisconnect(Default::default()), new.into()],
        chats: vec![chat.into()],
        ..Default::default()
    };
    let older = between(NEWEST, 201).object(enums::Updates::from(updates).to_bytes()).unwrap();
    let text = shown(201, older);
    assert!(text.starts_with("updates { updates: [updateNewMessage { message: message { id: 1"), "{text}");
    assert!(
        text.contains("media: messageMediaUnsupported, entities: [messageEntityBold { offset: 0, length: 1 }] }"),
        "{text}"
    );
    assert!(text.contains("chats: [chatEmpty { id: 12 }]"), "{text}");

    let short = types::UpdateShort { update: enums::Update::WalletTonConnectPendingDisconnect(Default::default()), date: 5 };
    let older = between(NEWEST, 201).object(enums::Updates::from(short).to_bytes()).unwrap();
    assert_eq!(shown(201, older), "updates { updates: [], users: [], chats: [], date: 5, seq: 0 }");
}

#[test]
fn keyboards_keep_their_buttons() {
    let url = types::InlineButtonTypeUrl { url: "u".into() };
    let button = |r#type| types::KeyboardInlineButton { text: "t".into(), r#type, ..Default::default() }.into();
    let row = types::KeyboardInlineButtonRow { buttons: vec![button(url.into()), button(enums::InlineButtonType::Disabled)] };
    let markup = types::ReplyInlineMarkup { rows: vec![row.into()], ..Default::default() };
    let bytes = enums::ReplyMarkup::from(markup).to_bytes();
    let older = between(NEWEST, 201).object(bytes).unwrap();
    let text = shown(201, older.clone());
    assert_eq!(
        text,
        "replyInlineMarkup { rows: [keyboardButtonRow { buttons: [keyboardButtonUrl { text: \"t\", url: \"u\" }, \
         keyboardButtonCallback { text: \"t\", data: 0x }] }] }"
    );
    let text = shown(NEWEST, between(201, NEWEST).object(older).unwrap());
    assert!(text.contains("keyboardInlineButton { text: \"t\", type: inlineButtonTypeUrl { url: \"u\" } }"), "{text}");
}

#[test]
fn bytes_that_are_nothing_are_an_error_each() {
    let older = between(NEWEST, 201);
    let unknown = |id| TranslateError::UnknownMethod { id, from: NEWEST, to: 201 };
    assert_eq!(older.request(Bytes::new()).unwrap_err(), unknown(0));
    assert_eq!(older.request(Bytes::from_static(&[1, 0, 0, 0])).unwrap_err(), unknown(1));
    let short = send("x").to_bytes();
    let error = older.request(short.slice(..short.len() - 4)).unwrap_err();
    assert!(matches!(error, TranslateError::Decode { layer: NEWEST, .. }), "{error}");
    let error = older.object(Bytes::from_static(&[1, 0, 0, 0])).unwrap_err();
    assert_eq!(error.to_string(), "the bytes are no layer 230: unknown constructor 0x00000001 at byte 0");
    let mut call = functions::help::GetConfig.to_bytes();
    for _ in 0..MAX_WRAPPERS + 2 {
        call = functions::InvokeWithoutUpdates { query: RawObject(call) }.to_bytes();
    }
    assert_eq!(older.request(call).unwrap_err(), TranslateError::TooManyWrappers { limit: MAX_WRAPPERS });
    assert_eq!(Translator::between(NEWEST, 1).unwrap_err(), UnknownLayer { layer: 1 });
}

/// A translator between two small schemas.
fn small(from: &str, to: &str, rules: &str) -> Translator {
    let leak = |text: &str| &*Box::leak(Box::new(parse(text).unwrap()));
    let rules = Box::leak(Box::new(Rules::parse(rules).unwrap()));
    Translator { pair: Arc::new(Pair::new(1, 2, leak(from), leak(to), rules)) }
}

/// Bytes of the first schema, translated and shown in the second.
fn moved(translator: &Translator, mode: Mode, words: &[u32]) -> Result<String, TranslateError> {
    let body: Bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let bytes = match mode {
        Mode::Answer => translator.object(body)?,
        Mode::Request => translator.request(body)?,
    };
    Ok(format!("{:?}", dynamic::decode(translator.pair.target, bytes).unwrap()))
}

#[test]
fn numbers_are_widened_and_narrowed_if_they_fit() {
    let wide = small("a#1 x:int y:int v:Vector<int> = A;", "a#2 x:long y:double v:Vector<long> = A;", "");
    let vector = |items: &[u32]| [&[0x1cb5_c415, items.len() as u32], items].concat();
    let words = [vec![1, u32::MAX, 3], vector(&[4])].concat();
    assert_eq!(moved(&wide, Mode::Answer, &words).unwrap(), "a { x: -1, y: 3.0, v: [4] }");

    let narrow = small("a#2 x:long y:double = A;", "a#1 x:int y:int = A;", "");
    let half = 2.5f64.to_bits();
    let number = |x: u64| [2, x as u32, (x >> 32) as u32, half as u32, (half >> 32) as u32];
    assert_eq!(moved(&narrow, Mode::Request, &[1]).unwrap_err(), TranslateError::UnknownMethod { id: 1, from: 1, to: 2 });
    assert_eq!(moved(&narrow, Mode::Answer, &number(7)).unwrap(), "a { x: 7, y: 3 }");
    let (path, what) = lack(moved(&narrow, Mode::Answer, &number(1 << 31)).unwrap_err());
    assert_eq!((path.as_str(), what), ("a.x", Lack::Range { value: 1 << 31 }));
}

#[test]
fn flags_become_bools_and_fields_that_share_a_bit_stay_together() {
    let bools = "boolTrue#997275b5 = Bool; boolFalse#bc799737 = Bool;";
    let from = format!("{bools} a#1 flags:# t:flags.0?true u:flags.1?true b:Bool = A;");
    let to = format!("{bools} a#2 flags:# t:Bool u:Bool b:flags.5?true = A;");
    let translator = small(&from, &to, "");
    assert_eq!(moved(&translator, Mode::Answer, &[1, 0b10, 0x9972_75b5]).unwrap(), "a { t: false, u: true, b: true }");
    assert_eq!(moved(&translator, Mode::Answer, &[1, 0, 0xbc79_9737]).unwrap(), "a { t: false, u: false }");

    let torn = small(
        "b#3 = B; a#1 flags:# x:flags.0?int y:flags.0?B = A;\n---functions---\nf#5 flags:# x:flags.0?int y:flags.0?int z:flags.1?int = A;",
        "a#2 flags:# x:flags.0?int y:flags.0?B z:flags.1?int = A; c#4 = B;\n---functions---\nf#6 flags:# x:flags.0?int w:flags.0?int = A;",
        "",
    );
    assert_eq!(moved(&torn, Mode::Answer, &[1, 1, 7, 3]).unwrap(), "a");
    let (path, what) = lack(moved(&torn, Mode::Request, &[5, 1, 7, 0]).unwrap_err());
    assert_eq!(path, "f");
    assert_eq!(what, Lack::Needs { definition: "f".to_owned(), field: "w".to_owned(), ty: "int".to_owned() });
    let (path, _) = lack(moved(&torn, Mode::Request, &[5, 2, 8]).unwrap_err());
    assert_eq!(path, "f.z");
}

#[test]
fn rules_fill_replace_drop_and_ignore() {
    let translator = small(
        "a#1 old:int v:Vector<B> w:W = A; b#2 = B; c#3 x:int = B; w#9 x:int = W;\n---functions---\nf#5 hint:int keep:int = A; g#6 n:int = A;",
        "a#4 new:int v:Vector<B> w:W = A; b#2 = B; w#a = W; n#b x:int y:int = W;\n---functions---\nf#7 keep:int = A; h#8 m:Vector<int> = A;",
        "default a.new = 42\ndrop B\nignore f.hint\nreplace w with n { x: $x, y: 1 }\nmap g { n: $n } -> h { m: [$n] }",
    );
    let words = [1, 5, 0x1cb5_c415, 3, 2, 3, 0, 2, 9, 6];
    // The constructor w is there and lost its field, which an answer may; so nothing has to stand for it.
    assert_eq!(moved(&translator, Mode::Answer, &words).unwrap(), "a { new: 42, v: [b, b], w: w }");
    assert_eq!(moved(&translator, Mode::Request, &[5, 6, 7]).unwrap(), "f { keep: 7 }");
    assert_eq!(moved(&translator, Mode::Request, &[6, 7]).unwrap(), "h { m: [7] }");
    let gone = small("a#1 w:W = A; w#9 x:int = W;", "a#1 w:W = A; n#b x:int y:int = W;", "replace w with n { x: $x, y: 1 }");
    assert_eq!(moved(&gone, Mode::Answer, &[1, 9, 6]).unwrap(), "a { w: n { x: 6, y: 1 } }");
    let differences: Vec<String> = gone.differences().iter().map(ToString::to_string).collect();
    assert_eq!(differences, ["w: becomes n { x: $x, y: 1 } in answers, refused in requests"]);
}

#[test]
fn what_a_shape_finds_goes_where_the_other_shape_has_it() {
    let rules = "map 0 -> r\nmap $i:int <-> r { id: $i! }\nmap r -> 0\nmap t { m: $m } <-> t { d: $m*30 }";
    let older = "a#1 x:int v:Vector<int> = A; t#3 m:int = T;";
    let newer = "a#2 x:R v:Vector<R> = A; r#4 flags:# id:flags.0?int = R; t#5 d:int = T;";
    let (up, down) = (small(older, newer, rules), small(newer, older, rules));
    let words = [1, 9, 0x1cb5_c415, 2, 0, 7];
    assert_eq!(moved(&up, Mode::Answer, &words).unwrap(), "a { x: r { id: 9 }, v: [r, r { id: 7 }] }");
    let words = [2, 4, 0, 0x1cb5_c415, 1, 4, 1, 8];
    assert_eq!(moved(&down, Mode::Answer, &words).unwrap(), "a { x: 0, v: [8] }");
    assert_eq!(moved(&up, Mode::Answer, &[3, 12]).unwrap(), "t { d: 360 }");
    assert_eq!(moved(&down, Mode::Answer, &[5, 365]).unwrap(), "t { m: 12 }");
}

/// Constructors that an answer of a method that both layers have, or an update, can hold.
fn reachable(pair: &Pair) -> BTreeSet<&'static str> {
    let updates = Type::Boxed("Updates".to_owned());
    let mut open: Vec<&Type> = vec![&updates];
    for method in pair.source.definitions().iter().filter(|d| d.kind == Kind::Function) {
        let there = pair.counterpart(method);
        if there.is_some_and(|there| difference::is_convertible(pair, &method.result, &there.result)) {
            open.push(&method.result);
        }
    }
    let (mut types, mut out) = (BTreeSet::new(), BTreeSet::new());
    while let Some(ty) = open.pop() {
        match ty {
            Type::Vector { item, .. } => open.push(item),
            Type::Boxed(name) if types.insert(name.clone()) => {
                for definition in pair.source.constructors_of(name) {
                    out.insert(definition.name.as_str());
                    let plan = pair.plan(definition).unwrap();
                    let reshaped = plan.rules.iter().any(|rule| rule.needed);
                    let goes = |index: &usize| (plan.target.is_some() && !plan.gone.contains(index)) || reshaped;
                    open.extend(definition.params.iter().enumerate().filter(|(index, _)| goes(index)).map(|(_, p)| &p.ty));
                }
            }
            _ => {}
        }
    }
    out
}

/// Every change between a bundled layer and the newest one can be said, has a rule, or is written down as refused; and no rule is dead.
#[test]
fn every_change_has_its_rule_and_every_rule_its_change() {
    let rules = Rules::bundled();
    let (mut refused, mut dropped, mut replaced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut filled, mut ignored, mut mapped) = (BTreeSet::new(), BTreeSet::new(), HashSet::new());
    for (from, to) in bundled().iter().flat_map(|layer| [(NEWEST, *layer), (*layer, NEWEST)]).filter(|(from, to)| from != to) {
        let translator = between(from, to);
        let pair = &translator.pair;
        let reachable = reachable(pair);
        for difference in translator.differences() {
            let definition = pair.source.by_name(&difference.definition).unwrap();
            let is_method = definition.kind == Kind::Function;
            let key = (difference.definition.clone(), difference.field.clone().unwrap_or_default());
            match difference.change {
                // A method that is not there cannot be called: nothing to look at.
                Change::Refused if is_method && difference.field.is_none() => {}
                Change::Refused if is_method || reachable.contains(definition.name.as_str()) => {
                    refused.insert(match &difference.field {
                        Some(field) => format!("{}.{field}", definition.name),
                        None => definition.name.clone(),
                    });
                }
                Change::Refused => {}
                Change::Dropped => drop(dropped.insert(definition.result.to_string())),
                Change::Replaced { .. } => {
                    let by_name = rules.replacements.contains_key(&definition.name);
                    replaced.insert(if by_name { definition.name.clone() } else { definition.result.to_string() });
                }
                Change::Filled { .. } => drop(filled.insert(key)),
                Change::LeftOut => drop(ignored.insert(key)),
                Change::Reshaped | Change::Converted { .. } => {}
            }
        }
        for definition in pair.source.definitions() {
            let plan = pair.plan(definition).unwrap();
            for rule in plan.rules.iter().filter(|rule| rule.needed) {
                mapped.insert(std::ptr::from_ref(rule.map));
                // What a rule builds may need defaults, too.
                let target = rule.map.right.name().and_then(|name| pattern::definition(pair.target, name));
                filled.extend(target.into_iter().flat_map(|d| d.params.iter().map(|p| (d.name.clone(), p.name.clone()))));
            }
            // For values whose type changed: fields of the same name, what a rule moves to another field, answers.
            let mut changed: Vec<(&Type, &Type)> = Vec::new();
            if let Some(target) = pair.counterpart(definition).or(plan.target) {
                changed.push((&definition.result, &target.result));
                let there = |name: &str| target.params.iter().find(|p| p.name == name);
                changed.extend(definition.params.iter().filter_map(|p| Some((&p.ty, &there(&p.name)?.ty))));
            }
            for rule in plan.rules.iter().filter(|rule| rule.needed) {
                let Some(target) = rule.map.right.name().and_then(|name| pattern::definition(pair.target, name)) else {
                    continue;
                };
                for (name, here) in moved_fields(&rule.map.left, definition) {
                    changed.extend(
                        moved_fields(&rule.map.right, target)
                            .filter(|(other, _)| *other == name)
                            .map(|(_, there)| (here, there)),
                    );
                }
            }
            for (here, there) in changed.into_iter().filter(|(here, there)| here != there) {
                for map in &rules.maps {
                    let known = map.left.is_known_to(pair.source) && map.right.is_known_to(pair.target);
                    let fits = |here: &Type, there: &Type| {
                        map.left.fits(pair.source, Some(here)) && map.right.fits(pair.target, Some(there))
                    };
                    if known && (fits(here, there) || fits(innermost(here), innermost(there))) {
                        mapped.insert(std::ptr::from_ref(map));
                    }
                }
            }
        }
    }
    let written: BTreeSet<String> = rules.refused.iter().cloned().collect();
    assert_eq!(&refused - &written, BTreeSet::new(), "changes without a rule");
    assert_eq!(&written - &refused, BTreeSet::new(), "refused, and it happens nowhere");
    let mut dead: Vec<String> = Vec::new();
    let drops = rules.drops.iter().filter(|ty| !dropped.contains(*ty) && !HOLDERS.contains(&ty.as_str()));
    dead.extend(drops.map(|ty| format!("drop {ty}")));
    dead.extend(rules.replacements.keys().filter(|name| !replaced.contains(*name)).map(|name| format!("replace {name}")));
    dead.extend(rules.defaults.keys().filter(|key| !filled.contains(*key)).map(|key| format!("default {key:?}")));
    dead.extend(rules.ignored.iter().filter(|key| !ignored.contains(*key)).map(|key| format!("ignore {key:?}")));
    let maps = rules.maps.iter().filter(|map| !mapped.contains(&std::ptr::from_ref(*map)));
    dead.extend(maps.map(|map| format!("map {} -> {}", map.left, map.right)));
    assert!(dead.is_empty(), "rules that nothing needs: {dead:#?}");
}

/// Types that are dropped because of something in them, not because a constructor is missing.
const HOLDERS: [&str; 6] =
    ["ChannelAdminLogEvent", "TopPeerCategoryPeers", "SearchCounter", "BotInlineResult", "MessagePeerVote", "Peer"];

/// The fields of a shape that hold nothing but a variable: its name, and the field's type.
fn moved_fields<'d>(pattern: &'d Pattern, definition: &'d Definition) -> impl Iterator<Item = (&'d str, &'d Type)> {
    let fields = match pattern {
        Pattern::Object { fields, .. } => fields.as_slice(),
        _ => &[],
    };
    fields.iter().filter_map(|(field, inner)| match inner {
        Pattern::Variable { name, .. } => Some((name.as_str(), &definition.params.iter().find(|p| p.name == *field)?.ty)),
        _ => None,
    })
}

fn innermost(ty: &Type) -> &Type {
    match ty {
        Type::Vector { item, .. } => innermost(item),
        other => other,
    }
}
