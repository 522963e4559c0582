use super::*;
use crate::tl::Identifiable as _;
use crate::tl::Serialize as _;
use crate::tl::api::{enums, functions as f, types};

fn rules(text: &str) -> Rules {
    Rules::new(RuleSet::parse(text).unwrap().rules, 1)
}

fn one(text: &str) -> Rules {
    Rules::new(RuleSet::parse_one(text).unwrap().rules, 1)
}

fn config() -> What {
    What::Object(f::help::GetConfig.to_bytes())
}

fn request() -> Subject {
    Subject { on: Direction::Request, dc: 2, schema: tl::compiled_schema(), method: f::help::GetConfig::ID, what: config() }
}

fn update(body: Bytes) -> Subject {
    Subject { on: Direction::Update, dc: 2, schema: tl::compiled_schema(), method: 0, what: What::Object(body) }
}

#[test]
fn each_action_is_a_fate_of_its_own() {
    let fate = |action: &str| one(&format!("on = 'request', {action}")).judge(request());
    assert_eq!(fate("drop = true").fate, Fate::Drop);
    let closed = fate("close = true");
    assert_eq!((closed.close, closed.fate), (true, Fate::Pass(config())));
    let error = What::Error { code: 420, text: "FLOOD_WAIT_3".into() };
    assert_eq!(fate("error = { code = 420, text = 'FLOOD_WAIT_3' }").fate, Fate::Answer(error));
    assert_eq!(fate("answer = { _ = 'boolTrue' }").fate, Fate::Answer(What::Object(true.to_bytes())));
    let late = fate("delay = '2s'");
    assert_eq!((late.delay, late.fate), (Duration::from_secs(2), Fate::Pass(config())));
    assert_eq!(late.applied, [("rule 1".to_owned(), "delayed by 2000 ms".to_owned())]);
    let failed = fate("edit = { x = 1 }");
    assert_eq!((failed.fate, failed.applied[0].1.as_str()), (Fate::Pass(config()), "not edited: there is no x"));
}

#[test]
fn a_rule_is_about_what_all_its_conditions_hold_for() {
    let hits = |conditions: &str| one(&format!("drop = true, {conditions}")).judge(request()).fate == Fate::Drop;
    assert!(hits("on = 'request'") && !hits("on = 'answer'") && !hits("on = 'update'"));
    assert!(hits("on = 'request', method = 'help.*'") && hits("on = 'request', method = 'HELP.GETCONFIG'"));
    assert!(!hits("on = 'request', method = 'help.getNearestDc'") && !hits("on = 'request', method = 'auth.*'"));
    assert!(hits("on = 'request', dc = 2") && !hits("on = 'request', dc = 1"));

    let refused = |pattern: &str| {
        let subject = Subject { on: Direction::Answer, what: What::Error { code: 400, text: "X".into() }, ..request() };
        one(&format!("on = 'answer', constructor = '{pattern}', drop = true")).judge(subject).fate == Fate::Drop
    };
    assert!(refused("rpc_error") && !refused("config"));
}

#[test]
fn rules_speak_the_layer_of_the_client() {
    // `user` has another constructor in layer 201; the names are the same.
    let schema = tl::layers::schema(201).unwrap();
    let bytes = |json: serde_json::Value| parse::object(schema, &json).unwrap();
    let user = |name: &str| bytes(serde_json::json!({"_": "user", "id": 7, "first_name": name}));
    assert_ne!(constructor(&user("Ada")), types::User::ID);
    let answer = |text: &str| {
        let what = What::Object(user("Ada"));
        let subject = Subject { on: Direction::Answer, dc: 2, schema, method: 0, what };
        one(&format!("on = 'answer', constructor = 'user', {text}")).judge(subject).fate
    };
    assert_eq!(answer("edit = { first_name = 'Mallory' }"), Fate::Pass(What::Object(user("Mallory"))));
    assert_eq!(answer("answer = { _ = 'user', id = 7, first_name = 'Eve' }"), Fate::Answer(What::Object(user("Eve"))));
    // What the layer does not have is not said in it.
    let newer = "answer = { _ = 'starGiftAttributeRarityUncommon' }";
    assert_eq!(answer(newer), Fate::Pass(What::Object(user("Ada"))), "and the trace says so");
}

#[test]
fn an_update_is_found_in_its_bundle() {
    let name = enums::Update::from(types::UpdateUserName { first_name: "a".into(), ..types::UpdateUserName::default() });
    let short = enums::Updates::from(types::UpdateShort { update: name.clone(), date: 1 }).to_bytes();
    let bundle = types::Updates { updates: vec![name], users: Vec::new(), chats: Vec::new(), date: 1, seq: 0 };
    let rule = || one("on = 'update', constructor = 'updateUser*', drop = true");
    assert_eq!(rule().judge(update(short)).fate, Fate::Drop);
    assert_eq!(rule().judge(update(enums::Updates::from(bundle).to_bytes())).fate, Fate::Drop);
    assert!(matches!(rule().judge(update(enums::Updates::TooLong.to_bytes())).fate, Fate::Pass(_)));
    let too_long = one("on = 'update', constructor = 'updatesTooLong', drop = true");
    assert_eq!(too_long.judge(update(enums::Updates::TooLong.to_bytes())).fate, Fate::Drop);
}

#[test]
fn counts_say_which_times_are_meant() {
    let pattern = |conditions: &str| -> String {
        let rules = one(&format!("on = 'request', drop = true, {conditions}"));
        (0..8).map(|_| if rules.judge(request()).fate == Fate::Drop { 'x' } else { '.' }).collect()
    };
    assert_eq!(pattern("nth = 3"), "..x.....");
    assert_eq!(pattern("every = 3"), "..x..x..");
    assert_eq!(pattern("times = 2"), "xx......");
    assert_eq!(pattern("every = 2, times = 2"), ".x.x....");
    assert_eq!(pattern("probability = 0.0"), "........");
    assert_eq!(pattern("probability = 1.0"), "xxxxxxxx");
}

#[test]
fn the_seed_decides_about_probabilities() {
    let drawn = |seed| -> Vec<bool> {
        let set = RuleSet::parse_one("on = 'request', probability = 0.5, drop = true").unwrap();
        let rules = Rules::new(set.rules, seed);
        (0..64).map(|_| rules.judge(request()).fate == Fate::Drop).collect()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let hits = drawn(1).into_iter().filter(|hit| *hit).count();
    assert!((16..48).contains(&hits), "{hits}");
}

#[test]
fn rules_are_asked_in_order_until_one_ends_it() {
    let rules = rules(
        "[[rule]]\non = 'request'\ndelay = '1s'\n[[rule]]\non = 'request'\ndelay = '500ms'\n[[rule]]\nname = 'end'\non = 'request'\n\
         drop = true\n[[rule]]\non = 'request'\nclose = true\n",
    );
    let verdict = rules.judge(request());
    assert_eq!((verdict.delay, verdict.fate), (Duration::from_millis(1500), Fate::Drop));
    let names: Vec<_> = verdict.applied.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["rule 1", "rule 2", "end"]);
}
