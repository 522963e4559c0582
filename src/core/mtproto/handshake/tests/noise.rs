//! Cut and mutated bytes, at every point of the exchange, outside and inside the encrypted parts: errors, never a panic.

use rand::Rng;

use crate::tl::mtproto::types;

use super::*;

/// Hands a body to the state that expects it. `None` if it was refused.
type Taker = fn(&Stages, Bytes) -> Option<()>;

/// The body that belongs there.
type Honest = fn(&Stages) -> &Bytes;

const TAKERS: [(&str, Honest, Taker); 6] = [
    ("req_pq_multi", |s| &s.req_pq, |s, body| s.server_0.clone().handle(body, &mut rng(9)).ok().map(drop)),
    ("resPQ", |s| &s.res_pq, |s, body| s.client_1.clone().handle(body, &mut rng(9)).ok().map(drop)),
    ("req_DH_params", |s| &s.req_dh_params, |s, body| s.server_1.clone().handle(body, NOW, &mut rng(9)).ok().map(drop)),
    ("server_DH_params", |s| &s.server_dh_params, |s, body| s.client_2.clone().handle(body, NOW, &mut rng(9)).ok().map(drop)),
    (
        "set_client_DH_params",
        |s| &s.set_client_dh_params,
        |s, body| s.server_2.clone().handle(body, &mut |_| false).ok().map(drop),
    ),
    ("dh_gen_ok", |s| &s.dh_gen_ok, |s, body| s.client_3.clone().handle(body, &mut rng(9)).ok().map(drop)),
];

#[test]
fn every_honest_body_is_taken() {
    for (name, body, take) in TAKERS {
        assert!(take(&STAGES, body(&STAGES).clone()).is_some(), "{name}");
    }
}

#[test]
fn every_prefix_is_refused_in_both_roles() {
    for (name, body, take) in TAKERS {
        let body = body(&STAGES);
        for end in 0..body.len() {
            assert!(take(&STAGES, body.slice(..end)).is_none(), "{name} cut to {end} bytes");
        }
    }
}

/// Every prefix of each whole frame as well: the driver's own header.
#[test]
fn every_prefix_of_a_frame_is_refused() {
    let keys = keys();
    let (client, request) = ClientHandshake::new(&client::Config::new(&keys, DC, Mode::Permanent), NOW, &mut rng(1));
    let server = ServerHandshake::new(&server_config());
    let answer = crate::mtproto::plain::encode(MsgId(5), &STAGES.res_pq);
    for end in 0..request.len() {
        assert!(server.clone().handle_frame(request.slice(..end), NOW, &mut rng(9), &mut |_| false).is_err());
    }
    for end in 0..answer.len() {
        assert!(client.clone().handle_frame(answer.slice(..end), NOW, &mut rng(9)).is_err());
    }
    assert!(client.handle_frame(answer, NOW, &mut rng(9)).is_ok());
}

/// Every byte of the messages that carry proofs is covered by one.
#[test]
fn every_changed_byte_of_a_proven_message_is_refused() {
    for (name, body, take) in TAKERS {
        if !["server_DH_params", "set_client_DH_params", "dh_gen_ok"].contains(&name) {
            continue;
        }
        for at in 0..body(&STAGES).len() {
            let mut changed = body(&STAGES).to_vec();
            changed[at] ^= 1 << (at % 8);
            assert!(take(&STAGES, changed.into()).is_none(), "{name} byte {at}");
        }
    }
}

/// A few random changes: bytes, lengths, repeats, cuts.
fn mutate(bytes: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=rng.next_u32() % 4 {
        let (a, b) = (rng.next_u32() as usize, rng.next_u32() as usize);
        let len = out.len().max(1);
        match rng.next_u32() % 6 {
            0 => out.truncate(a % len),
            1 => out.extend_from_slice(&bytes[..b % bytes.len()]),
            2 if !out.is_empty() => drop(out.drain(a % len..(a % len + b % 8).min(len))),
            3 if !out.is_empty() => out[a % len] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][b % 6],
            _ if !out.is_empty() => out[a % len] ^= 1 << (b % 8),
            _ => out.push(b as u8),
        }
    }
    out
}

#[test]
fn mutated_bodies_do_no_harm() {
    let mut rng = rng(0x5a);
    for round in 0..600 {
        // Whatever is for one state is also given to the others.
        let (_, body, _) = TAKERS[round % 6];
        let changed = Bytes::from(mutate(body(&STAGES), &mut rng));
        for (_, _, take) in TAKERS {
            take(&STAGES, changed.clone());
        }
    }
}

/// A hostile peer knows the new nonce, so its mutations pass the hash and reach the checks behind it.
#[test]
fn mutated_encrypted_parts_do_no_harm() {
    let mut rng = rng(0xa5);
    let enums::ServerDhParams::Ok(params) = read(&STAGES.server_dh_params) else { panic!("the honest server does not fail") };
    let set: functions::SetClientDhParams = read(&STAGES.set_client_dh_params);
    let (nonce, server_nonce) = (set.nonce, set.server_nonce);
    let from_server = STAGES.secrets.open::<enums::ServerDhInnerData>(&params.encrypted_answer).to_bytes();
    let from_client = STAGES.secrets.open::<enums::ClientDhInnerData>(&set.encrypted_data).to_bytes();
    let request: functions::ReqDhParams = read(&STAGES.req_dh_params);
    let in_rsa_block = open_rsa_block(&request).to_bytes();
    for _ in 0..150 {
        let encrypted_answer = STAGES.secrets.seal_raw(&mutate(&from_server, &mut rng), 0);
        let answer = types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer };
        let _ = STAGES.client_2.clone().handle(enums::ServerDhParams::from(answer).to_bytes(), NOW, &mut rng);

        let encrypted_data = STAGES.secrets.seal_raw(&mutate(&from_client, &mut rng), 0);
        let request = functions::SetClientDhParams { nonce, server_nonce, encrypted_data };
        let _ = STAGES.server_2.clone().handle(request.to_bytes(), &mut |_| false);

        let mut content = mutate(&in_rsa_block, &mut rng);
        content.truncate(144);
        let mut request: functions::ReqDhParams = read(&STAGES.req_dh_params);
        request.encrypted_data = Bytes::copy_from_slice(&KEY.public().encrypt_pad(&content, &mut rng).unwrap());
        let _ = STAGES.server_1.clone().handle(request.to_bytes(), NOW, &mut rng);
    }
}
