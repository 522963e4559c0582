//! The password, against the server's side of the same proof.

use std::sync::LazyLock;

use rand::{SeedableRng, rngs::StdRng};

use crate::crypto::{
    dh::{Group, KNOWN_PRIME},
    srp::{Challenge, Kdf, SrpError, Verifier},
};

use super::*;

use functions::{
    account::GetPassword,
    auth::{CheckPassword, ExportLoginToken, LogOut, SendCode, SignIn},
    users::GetUsers,
};

fn kdf() -> Kdf {
    Kdf::new(b"salt one", b"salt two", Group::known())
}

fn challenge(seed: u8) -> Challenge {
    // It takes its time: once for all.
    static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| kdf().verifier(b"hunter2"));
    Challenge::new(&kdf(), &VERIFIER, &mut StdRng::from_seed([seed; 32])).expect("a challenge")
}

fn algorithm() -> enums::PasswordKdfAlgo {
    types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
        salt1: kdf().salt1().to_vec().into(),
        salt2: kdf().salt2().to_vec().into(),
        g: 3,
        p: KNOWN_PRIME.to_vec().into(),
    }
    .into()
}

fn state(challenge: &Challenge, srp_id: i64) -> types::account::Password {
    types::account::Password {
        has_password: true,
        has_recovery: true,
        current_algo: Some(algorithm()),
        srp_b: Some(challenge.public().to_vec().into()),
        srp_id: Some(srp_id),
        hint: Some("the usual".into()),
        pending_reset_date: Some(9),
        new_algo: enums::PasswordKdfAlgo::Unknown,
        ..Default::default()
    }
}

fn answered(challenge: &Challenge, srp_id: i64) -> enums::account::Password {
    state(challenge, srp_id).into()
}

/// A login that gets as far as the password.
fn half_way() -> Script {
    Script::default().step::<SendCode>(sent()).fails::<SignIn>(rpc(401, "SESSION_PASSWORD_NEEDED"))
}

fn answers(passwords: &[&'static str]) -> Answers {
    Answers { passwords: passwords.iter().copied().collect(), ..Answers::codes(&["22222"]) }
}

/// The proof that was sent as request number `index`.
fn proof(api: &Script, index: usize) -> types::InputCheckPasswordSrp {
    let check: CheckPassword = api.request(index);
    match check.password {
        enums::InputCheckPasswordSrp::Srp(proof) => *proof,
        other => panic!("no proof: {other:?}"),
    }
}

#[test]
fn the_right_password_is_proved_and_not_told() {
    let challenge = challenge(1);
    let api = half_way().step::<GetPassword>(answered(&challenge, 42)).step::<CheckPassword>(authorization());
    let mut answers = answers(&["hunter2"]);
    assert_eq!(login(&api, &mut answers).expect("logged in"), LoggedIn::In(me()));
    let proof = proof(&api, 3);
    assert_eq!(proof.srp_id, 42);
    challenge.check(&proof.a, &proof.m1).expect("the right one");
    assert_eq!(answers.asked, [PasswordAsked { hint: Some("the usual".into()), wrong: 0, recovery: true, reset_at: Some(9) }]);
    assert!(api.authorized.get());
    for sent in api.sent.borrow().iter() {
        assert!(!sent.windows(7).any(|bytes| bytes == b"hunter2"));
    }
}

#[test]
fn a_wrong_password_is_asked_again_a_few_times() {
    let (first, second) = (challenge(1), challenge(2));
    let api = half_way()
        .step::<GetPassword>(answered(&first, 1))
        .fails::<CheckPassword>(rpc(400, "PASSWORD_HASH_INVALID"))
        .step::<GetPassword>(answered(&second, 2))
        .step::<CheckPassword>(authorization());
    let mut typed = answers(&["hunter1", "hunter2"]);
    login(&api, &mut typed).expect("logged in");
    assert_eq!(typed.asked.iter().map(|asked| asked.wrong).collect::<Vec<_>>(), [0, 1]);
    let (wrong, right) = (proof(&api, 3), proof(&api, 5));
    assert_eq!(first.check(&wrong.a, &wrong.m1), Err(SrpError::ProofMismatch));
    second.check(&right.a, &right.m1).expect("the right one");
    assert_ne!(wrong.a, right.a, "a secret of its own for each");

    let mut api = half_way();
    for round in 0..MAX_PASSWORD_ATTEMPTS {
        api = api.step::<GetPassword>(answered(&challenge(1), round.into()));
        api = api.fails::<CheckPassword>(rpc(400, "PASSWORD_HASH_INVALID"));
    }
    let error = login(&api, &mut answers(&["a", "b", "c", "d"])).expect_err("wrong");
    assert!(matches!(error, Error::PasswordWrong { attempts: MAX_PASSWORD_ATTEMPTS, recovery: true }), "{error:?}");
    assert!(error.advice().expect("advice").contains("recovery email"));
    let without = Error::PasswordWrong { attempts: 1, recovery: false };
    assert!(without.advice().expect("advice").contains("week"));
}

#[test]
fn a_proof_that_is_too_old_is_made_again_without_asking() {
    for name in ["SRP_ID_INVALID", "SRP_PASSWORD_CHANGED"] {
        let fresh = challenge(2);
        let api = half_way()
            .step::<GetPassword>(answered(&challenge(1), 1))
            .fails::<CheckPassword>(rpc(400, name))
            .step::<GetPassword>(answered(&fresh, 2))
            .step::<CheckPassword>(authorization());
        let mut answers = answers(&["hunter2"]);
        login(&api, &mut answers).expect("logged in");
        assert_eq!(answers.asked.len(), 1);
        let proof = proof(&api, 5);
        assert_eq!(proof.srp_id, 2);
        fresh.check(&proof.a, &proof.m1).expect("the right one");
    }
    let mut api = half_way();
    for _ in 0..3 {
        api = api.step::<GetPassword>(answered(&challenge(1), 1)).fails::<CheckPassword>(rpc(400, "SRP_ID_INVALID"));
    }
    let error = login(&api, &mut answers(&["hunter2"])).expect_err("stale");
    assert!(matches!(error, Error::PasswordStale) && error.advice().is_some());
}

#[test]
fn a_password_is_not_proved_to_somebody_who_cannot_be_trusted() {
    type Check = fn(&Error) -> bool;
    type Change = fn(&mut types::account::Password);
    let cases: [(Change, Check); 6] = [
        (|state| state.current_algo = Some(enums::PasswordKdfAlgo::Unknown), |e| matches!(e, Error::PasswordFormUnknown)),
        (|state| state.current_algo = None, |e| matches!(e, Error::Nonsense { method: "account.getPassword", .. })),
        (|state| state.srp_b = None, |e| matches!(e, Error::Nonsense { .. })),
        (|state| state.srp_id = None, |e| matches!(e, Error::Nonsense { .. })),
        (|state| state.srp_b = Some(vec![0].into()), |e| matches!(e, Error::PasswordUntrusted(SrpError::PublicValue(_)))),
        (
            |state| {
                type Algorithm = types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow;
                let algorithm = Algorithm { g: 3, p: vec![47].into(), ..Algorithm::default() };
                state.current_algo = Some(algorithm.into());
            },
            |e| matches!(e, Error::PasswordUntrusted(SrpError::Group(_))),
        ),
    ];
    for (change, check) in cases {
        let mut state = state(&challenge(1), 1);
        change(&mut state);
        let api = half_way().step::<GetPassword>(enums::account::Password::from(state));
        let error = login(&api, &mut answers(&["hunter2"])).expect_err("refused");
        assert!(check(&error), "{error:?}");
        assert!(api.is_done() && !api.authorized.get());
    }
    assert!(Error::PasswordFormUnknown.advice().is_some());
    assert!(Error::PasswordUntrusted(SrpError::ScramblerZero).advice().is_some());
    assert!(Error::PasswordUntrusted(SrpError::Randomness).advice().expect("advice").contains("random"));
}

#[test]
fn other_refusals_are_passed_on() {
    let api = half_way().step::<GetPassword>(answered(&challenge(1), 1)).fails::<CheckPassword>(rpc(400, "SOMETHING_NEW"));
    let error = login(&api, &mut answers(&["hunter2"])).expect_err("refused");
    assert!(matches!(&error, Error::Invoke(InvokeError::Rpc(e)) if e.name == "SOMETHING_NEW"));
    let api =
        half_way().step::<GetPassword>(answered(&challenge(1), 1)).fails::<CheckPassword>(rpc(406, "PHONE_PASSWORD_FLOOD"));
    assert!(matches!(login(&api, &mut answers(&["x"])), Err(Error::TooManyLogins { .. })));
    let api = half_way().fails::<GetPassword>(rpc(500, "INTERNAL"));
    assert!(matches!(login(&api, &mut answers(&[])), Err(Error::Invoke(_))));
}

#[test]
fn somebody_without_a_password_says_so() {
    struct Silent;
    impl LoginPrompts for Silent {
        async fn phone(&mut self) -> Result<String, PromptError> {
            Ok(PHONE.into())
        }

        async fn code(&mut self, _: &CodeSent, _: u32) -> Result<CodeAnswer, PromptError> {
            Ok(CodeAnswer::Code("22222".into()))
        }

        async fn name(&mut self, _: Option<&str>) -> Result<Name, PromptError> {
            Err("no name".into())
        }
    }
    let api = half_way().step::<GetPassword>(answered(&challenge(1), 1));
    let error = run(login_code(&api, &mut Silent, LoginRequest::default())).expect_err("no password");
    assert!(matches!(&error, Error::Prompt(e) if e.to_string().contains("password")), "{error:?}");
    assert!(matches!(run(Silent.email(None)), Err(e) if e.to_string().contains("email")));
}

#[test]
fn a_login_that_got_as_far_as_the_password_is_gone_on_with() {
    let needed = || rpc(401, "SESSION_PASSWORD_NEEDED");
    let halfway = || {
        Script::default()
            .with_key()
            .fails::<GetUsers>(needed())
            .step::<GetPassword>(answered(&challenge(1), 1))
            .step::<CheckPassword>(authorization())
    };
    let scan = |api: &Script, user_id| {
        let request = LoginRequest { user_id, now: NOW, ..LoginRequest::default() };
        run(login_qr(api, &mut Watch::default(), &mut answers(&["hunter2"]), &[], request))
    };
    let api = halfway();
    assert_eq!(scan(&api, None).expect("in"), LoggedIn::Resumed(me()));
    assert_eq!(scan(&halfway(), Some(77)).expect("in"), LoggedIn::Resumed(me()));
    // It was another account's: that one is ended, so that none is left that nobody knows of.
    let success = types::auth::LoginTokenSuccess { authorization: authorization() };
    let api = halfway()
        .step::<LogOut>(enums::auth::LoggedOut::default())
        .step::<ExportLoginToken>(enums::auth::LoginToken::from(success));
    assert_eq!(scan(&api, Some(78)).expect("in"), LoggedIn::In(me()));
    assert!(api.is_done());
}
