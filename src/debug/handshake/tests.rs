//! Tests of the recorder: whole exchanges, with secrets and without.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use tdl_core::clock::Now;
use tdl_core::crypto::rsa::PrivateKey;
use tdl_core::ids::DcId;
use tdl_core::mtproto::handshake::watch::Watch;
use tdl_core::mtproto::handshake::{ClientHandshake, Mode, ServerHandshake, client, server};

const NOW: Now = Now::new(Duration::from_secs(100), Duration::from_secs(1_700_000_000));
static KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::from_pem(include_str!("../../core/mtproto/handshake/tests/server_key.pem")).unwrap());

/// Runs an exchange to its end, good or bad; `taken` makes the server want so many other keys.
fn exchange(
    recorder: &Arc<Recorder>,
    mut taken: u32,
    mut tamper: impl FnMut(usize, &mut Vec<u8>),
) -> Option<client::Established> {
    let keys = [KEY.public().clone()];
    let mut config = client::Config::new(&keys, DcId(2), Mode::Permanent);
    config.watch = Watch::new(recorder.clone());
    let (ours, theirs) = (&mut StdRng::from_seed([1; 32]), &mut StdRng::from_seed([2; 32]));
    let (mut client, mut frame) = ClientHandshake::new(&config, NOW, ours);
    let mut server = ServerHandshake::new(&server::Config::new([KEY.clone()], DcId(2)));
    let mut altered = false;
    for step in 0.. {
        let mut is_taken = |_| {
            let answer = taken > 0;
            taken = taken.saturating_sub(1);
            answer
        };
        let answer = match server.handle_frame(frame, NOW, theirs, &mut is_taken) {
            Ok(server::Step::Send(next, answer)) => {
                server = next;
                answer
            }
            Ok(server::Step::Done(_, answer)) => {
                server = ServerHandshake::new(&server::Config::new([KEY.clone()], DcId(2)));
                answer
            }
            // What was altered may be something that the client has to repeat.
            Err(_) if altered => return None,
            other => panic!("the client keeps the rules: {:?}", other.err()),
        };
        let mut answer = answer.to_vec();
        let genuine = answer.clone();
        tamper(step, &mut answer);
        altered |= answer != genuine;
        match client.handle_frame(answer.into(), NOW, ours) {
            Ok(client::Step::Send(next, out)) => (client, frame) = (next, out),
            Ok(client::Step::Done(established)) => return Some(established),
            Err(_) => return None,
        }
    }
    unreachable!("an exchange ends")
}

fn text(recorder: &Recorder, full: bool) -> String {
    recorder.entries().iter().map(|entry| entry.text(full)).collect()
}

#[test]
fn every_message_value_and_check_is_told_in_order() {
    let told = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&told);
    let recorder = Arc::new(Recorder::new(false, Some(Box::new(move |_| *counter.lock().unwrap() += 1))));
    let key = exchange(&recorder, 1, |_, _| {}).unwrap();
    let entries = recorder.entries();
    assert_eq!(*told.lock().unwrap(), entries.len());
    let names: Vec<&str> = entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Message { name, .. } | What::Inside { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        names,
        [
            "req_pq_multi",
            "resPQ",
            "p_q_inner_data_dc",
            "req_DH_params",
            "server_DH_params_ok",
            "server_DH_inner_data",
            "client_DH_inner_data",
            "set_client_DH_params",
            "dh_gen_retry",
            "client_DH_inner_data",
            "set_client_DH_params",
            "dh_gen_ok",
        ]
    );
    let checks: Vec<Check> = entries
        .iter()
        .filter_map(|entry| match entry.what {
            What::Check { check, holds: true, .. } => Some(check),
            _ => None,
        })
        .collect();
    use Check as C;
    assert_eq!(
        checks,
        [
            C::NonceInResPq,
            C::PqLength,
            C::PqSize,
            C::PqFactorsPrime,
            C::PqOdd,
            C::KeyOffered,
            C::NonceInServerDhParams,
            C::ServerNonceInServerDhParams,
            C::SealedMost,
            C::SealedLeast,
            C::SealedBlocks,
            C::SealedHash,
            C::SealedPadding,
            C::NonceInServerDhInner,
            C::ServerNonceInServerDhInner,
            C::DhPrimeSize,
            C::DhGeneratorRange,
            C::DhGeneratorResidue,
            C::DhPrimePrime,
            C::DhPrimeSafe,
            C::DhPublicRange,
            C::DhPublicLeast,
            C::DhPublicMost,
            C::NonceInDhGen,
            C::ServerNonceInDhGen,
            C::NewNonceHash2,
            C::RetriesEnd,
            C::NonceInDhGen,
            C::ServerNonceInDhGen,
            C::NewNonceHash1,
        ]
    );
    for check in checks {
        assert_ne!(meaning::of(check), check.variant(), "{check:?} has words");
    }
    let text = text(&recorder, false);
    for part in [
        "✓ dh_prime is prime (known)",
        "server_time  2023-11-14 22:13:20 UTC",
        "· the server wants another g_b",
        "✓ both sides have the key",
        &format!("{:#018x}", key.auth_key.id()),
        "… (256 bytes)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let times = recorder.times();
    assert_eq!(times.total, times.waiting + times.computing);
    assert!(entries.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

/// The values that would help to find the key, or to read the rest of the exchange.
fn secrets(key: &client::Established, recorder: &Recorder) -> Vec<String> {
    let mut secrets: Vec<String> = ["new_nonce", "tmp_aes_key", "tmp_aes_iv", "b", "auth_key"]
        .iter()
        .map(|name| {
            let found = recorder.entries().iter().find_map(|entry| match &entry.what {
                What::Computed { fields, .. } => {
                    fields.iter().find(|field| field.name == *name).map(|field| field.value.clone())
                }
                _ => None,
            });
            match found {
                Some(Shown::Hex { digits, .. }) => digits,
                other => panic!("{name}: {other:?}"),
            }
        })
        .collect();
    secrets.push(format!("{:016x}", key.salt.0));
    secrets.push(format!("{:016x}", key.auth_key.aux_hash()));
    secrets
}

#[test]
fn secrets_are_told_only_to_who_asks() {
    let all = Arc::new(Recorder::new(true, None));
    let key = exchange(&all, 0, |_, _| {}).unwrap();
    let open = text(&all, true);
    let secrets = secrets(&key, &all);
    assert!(secrets[..6].iter().all(|secret| open.contains(secret.as_str())), "{open}");

    let recorder = Arc::new(Recorder::new(false, None));
    // The same exchange, for the seeds are the same; and one with a retry, which sends a hash of the key.
    assert_eq!(exchange(&recorder, 0, |_, _| {}).unwrap().auth_key, key.auth_key);
    exchange(&recorder, 1, |_, _| {}).unwrap();
    let json: Vec<_> = recorder.entries().iter().map(Entry::json).collect();
    let told = text(&recorder, true) + &serde_json::to_string(&json).unwrap() + &format!("{:?}", recorder.entries());
    for secret in &secrets {
        assert!(!told.contains(secret.as_str()), "{secret}");
    }
    assert!(told.contains("‹secret›") && told.contains(r#""new_nonce":null"#));
}

#[test]
fn what_goes_wrong_is_told_with_its_rule() {
    let recorder = Arc::new(Recorder::new(false, None));
    // The first byte of the nonce in the first answer, behind the header and the constructor.
    let tamper = |step: usize, frame: &mut Vec<u8>| frame[24] ^= u8::from(step == 0);
    assert!(exchange(&recorder, 0, tamper).is_none());
    let text = text(&recorder, false);
    assert!(
        text.contains("✗ resPQ carries our nonce") && text.contains("✗ NonceMismatch: key exchange: resPQ carries nonce"),
        "{text}"
    );
    let last = recorder.entries().last().unwrap().json();
    assert_eq!((last["kind"].as_str(), last["rule"].as_str()), (Some("failed"), Some("NonceMismatch")));
}

#[test]
fn what_is_no_message_is_told_without_fields() {
    let recorder = Arc::new(Recorder::new(false, None));
    let tamper = |_: usize, frame: &mut Vec<u8>| frame[20] ^= 1;
    assert!(exchange(&recorder, 0, tamper).is_none());
    let received = recorder.entries().into_iter().find_map(|entry| match entry.what {
        What::Message { sent: false, name, fields, .. } => Some((name, fields.len())),
        _ => None,
    });
    assert_eq!(received, Some(("resPQ".to_owned(), 0)));
    assert!(text(&recorder, false).contains("✗ Decode: "));
}

/// Whatever a server sends can be told.
#[test]
fn altered_answers_are_told_too() {
    for step in 0..3 {
        for at in (20..90).step_by(3) {
            let recorder = Arc::new(Recorder::new(false, None));
            exchange(&recorder, 0, |now, frame| {
                if now == step
                    && let Some(byte) = frame.get_mut(at)
                {
                    *byte = byte.wrapping_add(0x55);
                }
            });
            let entries = recorder.entries();
            // The nonce and the number of the server are altered in the eyes of the client only: there it is the server that refuses,
            // after the last word of the client.
            let told = matches!(entries.last().unwrap().what, What::Failed { .. } | What::Established { .. });
            assert!(told || step == 0 && (40..68).contains(&at), "{step} {at}");
            assert!(entries.iter().all(|entry| !entry.text(true).is_empty() && entry.json().is_object()));
        }
    }
}
