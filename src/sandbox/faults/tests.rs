use super::*;

fn call(name: &'static str) -> CallInfo {
    CallInfo { dc: 2, user: Some(5), method: 1, name }
}

#[test]
fn effects_are_one_word_and_come_back_from_it() {
    for (text, code) in [
        ("FLOOD_WAIT_30", 420),
        ("SLOWMODE_WAIT_5", 420),
        ("FLOOD_PREMIUM_WAIT_9", 420),
        ("USER_MIGRATE_3", 303),
        ("AUTH_KEY_DUPLICATED", 406),
        ("SESSION_REVOKED", 401),
        ("CHAT_ADMIN_REQUIRED", 400),
    ] {
        let effect: FaultEffect = text.parse().unwrap();
        assert_eq!(effect, FaultEffect::Error { code, text: text.to_owned() });
        assert_eq!(effect.to_string(), text);
    }
    for text in ["500:NO_WORKERS_RUNNING", "-503:Timeout", "drop", "silence", "wrong-salt", "key-loss", "delay:500ms"]
        .into_iter()
        .chain(["cut", "corrupt", "short", "forget", "expire", "migrate", "migrate:2"])
    {
        assert_eq!(text.parse::<FaultEffect>().unwrap().to_string(), text);
    }
    assert_eq!("delay:2s".parse(), Ok(FaultEffect::Delay(Duration::from_secs(2))));
    assert_eq!("delay:10m".parse(), Ok(FaultEffect::Delay(MAX_DELAY)));
    for wrong in ["delay:", "delay:11m", "delay:s", "delay:1h", "delay:-1s", "delay:99999999999999999999s"] {
        assert!(matches!(wrong.parse::<FaultEffect>(), Err(FaultError::Delay { .. })), "{wrong}");
    }
    for wrong in
        ["", "flood_wait", "1234:X", "400:", "400:A B", "x:Y", "_A", "É", "migrate:", "migrate:0", "cut:1", &"A".repeat(200)]
    {
        assert!(matches!(wrong.parse::<FaultEffect>(), Err(FaultError::Effect(_))), "{wrong}");
    }
}

#[test]
fn patterns_are_about_whole_names() {
    for (pattern, name, expected) in [
        ("*", "upload.getFile", true),
        ("upload.*", "upload.getFile", true),
        ("upload.*", "messages.getHistory", false),
        ("*.get*", "upload.getFile", true),
        ("*File", "upload.getFile", true),
        ("*File", "upload.getFileHashes", false),
        ("upload.getFile", "upload.getFileHashes", false),
        ("upload.getFile", "upload.getFile", true),
        ("a*a", "a", false),
        ("*a*b*", "xaxbx", true),
        ("*b*a*", "xaxbx", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_rule_is_about_its_calls_and_as_many_as_it_says() {
    let faults = Faults::default();
    let flood: FaultEffect = "FLOOD_WAIT_3".parse().unwrap();
    let rule = FaultRule::new(flood);
    let refused = |call: &CallInfo| match faults.disturb(call).as_slice() {
        [Disturbance::Refuse(fault)] => Some(fault.to_string()),
        [] => None,
        other => panic!("{other:?}"),
    };
    let id = faults.set(FaultRule { method: "upload.*".to_owned(), left: Some(2), ..rule.clone() }).unwrap();
    assert_eq!(refused(&call("messages.getHistory")), None);
    for _ in 0..2 {
        assert_eq!(refused(&call("upload.getFile")).as_deref(), Some("FLOOD_WAIT_3"));
    }
    assert_eq!(refused(&call("upload.getFile")), None, "used up");
    assert_eq!(
        faults.list()[0],
        FaultRule { id, method: "upload.*".to_owned(), left: Some(0), met: 2, seen: 2, ..rule.clone() }
    );
    for (user, dc, expected) in [(Some(6), None, false), (None, Some(1), false), (Some(5), Some(2), true)] {
        assert_eq!(faults.clear(&[]), 1);
        faults.set(FaultRule { user, dc, ..rule.clone() }).unwrap();
        assert_eq!(refused(&call("help.getConfig")).is_some(), expected);
    }
    assert_eq!(faults.clear(&[id]), 0, "it was taken back before");
    for method in ["", "a b", "a\n", &"a".repeat(200)] {
        let wrong = FaultRule { method: method.to_owned(), ..rule.clone() };
        assert!(matches!(faults.set(wrong), Err(FaultError::Pattern(_))));
    }
    while faults.list().len() < MAX_RULES {
        faults.set(rule.clone()).unwrap();
    }
    assert_eq!(faults.set(rule), Err(FaultError::TooMany));
}

#[test]
fn chances_are_percents() {
    for text in ["1%", "100%", "0.5%", "0.0001%", "33.3333%", "12.05%"] {
        assert_eq!(text.parse::<Chance>().unwrap().to_string(), text);
    }
    assert_eq!("007.10%".parse::<Chance>().unwrap().to_string(), "7.1%");
    for wrong in ["", "%", "1", "0%", "0.0%", "100.0001%", "101%", "-1%", "1.%", ".5%", "1.00001%", "1e1%", "1 %", "9999%"] {
        assert_eq!(wrong.parse::<Chance>(), Err(FaultError::Chance(wrong.to_owned())), "{wrong}");
    }
}

#[test]
fn a_rule_about_some_of_its_calls_meets_the_same_ones_again() {
    let met = |rule: &FaultRule| -> Vec<usize> {
        let faults = Faults::default();
        faults.set(rule.clone()).unwrap();
        (1..=10_000).filter(|_| !faults.disturb(&call("upload.getFile")).is_empty()).collect()
    };
    let rule = FaultRule::new(FaultEffect::Drop);
    let third = FaultRule { skip: 5, every: Some(3), left: Some(4), ..rule.clone() };
    assert_eq!(met(&third), [8, 11, 14, 17]);
    let chance = |text: &str, seed| FaultRule { chance: Some(text.parse().unwrap()), seed, ..rule.clone() };
    for seed in 0..20 {
        let found = met(&chance("1%", seed));
        assert!((50..=160).contains(&found.len()), "seed {seed}: {}", found.len());
        assert_eq!(found, met(&chance("1%", seed)), "seed {seed}");
        assert_ne!(found, met(&chance("1%", seed + 1)), "seed {seed}");
    }
    assert_eq!(met(&chance("100%", 1)).len(), 10_000);
    assert_eq!(Faults::default().set(FaultRule { every: Some(0), ..rule }), Err(FaultError::Every));
}

#[test]
fn several_rules_happen_in_turn_and_an_answer_is_the_last() {
    let faults = Faults::default();
    for effect in ["delay:1ms", "drop", "SESSION_REVOKED", "wrong-salt"] {
        faults.set(FaultRule::new(effect.parse().unwrap())).unwrap();
    }
    let happens = faults.disturb(&call("help.getConfig"));
    assert!(matches!(happens.as_slice(), [Disturbance::Delay(_), Disturbance::Close, Disturbance::Refuse(_)]), "{happens:?}");
}

#[test]
fn a_delay_ends_when_the_rules_are_taken_back() {
    let faults = std::sync::Arc::new(Faults::default());
    let held = {
        let faults = std::sync::Arc::clone(&faults);
        std::thread::spawn(move || faults.pause(Duration::from_secs(3600)))
    };
    // Until the thread has begun to wait, it does not see the change: so again and again.
    while !held.is_finished() {
        faults.clear(&[]);
        std::thread::yield_now();
    }
    held.join().unwrap();
    faults.pause(Duration::ZERO);
}
