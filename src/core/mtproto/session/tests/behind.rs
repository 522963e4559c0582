//! Frames that are encrypted together, behind their turn: what goes out is as if each were encrypted in it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::peer::{SALT, SESSION, START, key};
use crate::{
    clock::Now,
    crypto::AuthKey,
    mtproto::session::{ClientParams, FutureSalt, Limits, Output, RequestOptions, Session, Unsealed},
    trace::{Collector, Layer, LayerSet, Tracer},
};

const LARGE: usize = 1000;

fn client(key: AuthKey, tracer: Tracer) -> Session {
    let mut params = ClientParams::new(key, SESSION, [7; 32]);
    params.salts = vec![FutureSalt::unlimited(SALT)];
    params.limits = Limits { coalesce: Duration::ZERO, ..Limits::default() };
    params.tracer = tracer;
    Session::client(params, START)
}

fn body(len: usize, fill: u8) -> Bytes {
    [&0x0bad_cafe_u32.to_le_bytes()[..], &vec![fill; len]].concat().into()
}

const OPTIONS: RequestOptions = RequestOptions { method: 0, compress: false, alone: false, quick_ack: false };

/// All that a session has to say, with what has to be encrypted where it is to be.
fn outputs(session: &mut Session, now: Now) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output_large(now, LARGE)).collect()
}

#[test]
fn sealed_behind_is_as_sealed_in_turn() {
    let mut together = 0;
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sessions: Vec<[Session; 2]> = (0..rng.random_range(1..4_u8))
            .map(|n| [(); 2].map(|()| client(AuthKey::from_bytes(&[n + 1; 256]), Tracer::off())))
            .collect();
        let mut now = START;
        for _ in 0..4 {
            now.mono += Duration::from_millis(10);
            let (mut expected, mut found, mut unsealed): (Vec<BytesMut>, Vec<Option<BytesMut>>, Vec<Unsealed>) =
                Default::default();
            for [in_turn, behind] in &mut sessions {
                for _ in 0..rng.random_range(0..4) {
                    let body = body(4 * [2, 300, 5000, 100_000][rng.random_range(0..4)], rng.random());
                    assert_eq!(in_turn.request(now, body.clone(), OPTIONS), behind.request(now, body, OPTIONS));
                }
                expected.extend(std::iter::from_fn(|| in_turn.poll_output(now)));
                for output in outputs(behind, now) {
                    found.push(match output {
                        Output::Sealed(frame) => Some(frame),
                        Output::Unsealed(one) => {
                            assert!(one.len() > LARGE && !one.is_empty());
                            unsealed.push(one);
                            None
                        }
                    });
                }
                assert_eq!(behind.poll_timeout(), in_turn.poll_timeout(), "seed {seed}");
            }
            together += unsealed.len();
            // The last of them alone: that is the same.
            let last = unsealed.pop().map(Unsealed::seal);
            let mut sealed = Unsealed::seal_all(unsealed).into_iter().chain(last);
            let found: Vec<_> = found.into_iter().map(|frame| frame.or_else(|| sealed.next()).unwrap()).collect();
            assert!(found == expected && sealed.next().is_none(), "seed {seed}");
        }
    }
    assert!(together > 200, "{together}");
}

#[test]
fn what_somebody_wants_to_know_of_is_sealed_in_its_turn() {
    let out = |session: &mut Session, options| {
        session.request(START, body(2 * LARGE, 1), options).unwrap();
        let [output] = <[_; 1]>::try_from(outputs(session, START)).unwrap();
        (matches!(output, Output::Sealed(_)), session.wants_quick_ack())
    };
    let quick = RequestOptions { quick_ack: true, ..OPTIONS };
    let mut session = client(key(), Tracer::off());
    assert_eq!([quick, OPTIONS].map(|options| out(&mut session, options)), [(true, true), (false, false)]);
    for (layers, sealed) in [
        (LayerSet::NONE.with(Layer::Rpc), false),
        (LayerSet::NONE.with(Layer::Crypto), true),
        (LayerSet::ALL.with(Layer::Core), true),
    ] {
        let collector = Collector::of(layers);
        assert_eq!(out(&mut client(key(), collector.tracer()), OPTIONS), (sealed, false));
        let envelopes = collector.events().iter().filter(|event| event.layer() == Layer::Crypto).count();
        assert_eq!(envelopes > 0, layers.contains(Layer::Crypto));
    }
}

/// What it holds may be anybody's messages.
#[test]
fn what_is_not_sealed_yet_is_not_printed() {
    let mut session = client(key(), Tracer::off());
    session.request(START, body(2 * LARGE, b'x'), OPTIONS).unwrap();
    let printed = format!("{:?}", outputs(&mut session, START));
    assert!(printed.contains("len") && !printed.contains("xx") && !printed.contains("120"), "{printed}");
}
