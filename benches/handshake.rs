//! The key exchange: each role's steps, and both together in memory.
//!
//! `cargo bench --no-default-features --bench handshake`

use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};
use tdl::{
    clock::Now,
    crypto::rsa::{PrivateKey, PublicKey},
    ids::DcId,
    mtproto::handshake::{Mode, client, server},
};

const NOW: Now = Now::new(Duration::ZERO, Duration::from_secs(1_707_425_105));
const DC: DcId = DcId(2);

/// Both roles with their randomness, advanced one message at a time.
struct Pair {
    server: server::Config,
    keys: [PublicKey; 1],
    ours: StdRng,
    theirs: StdRng,
}

impl Pair {
    fn new() -> Self {
        let key = PrivateKey::generate(&mut StdRng::from_seed([1; 32]));
        let keys = [key.public().clone()];
        let server = server::Config::new([key], DC);
        Self { server, keys, ours: StdRng::from_seed([2; 32]), theirs: StdRng::from_seed([3; 32]) }
    }

    fn res_pq(&mut self) -> (client::ExpectResPq, server::ExpectReqDhParams, Bytes) {
        let (client, body) = client::start(&client::Config::new(&self.keys, DC, Mode::Permanent), &mut self.ours);
        let (server, body) = server::start(&self.server).handle(body, &mut self.theirs).expect("honest");
        (client, server, body)
    }

    fn req_dh_params(&mut self) -> (client::ExpectServerDhParams, server::ExpectReqDhParams, Bytes) {
        let (client, server, body) = self.res_pq();
        let (client, body) = client.handle(body, &mut self.ours).expect("honest");
        (client, server, body)
    }

    fn server_dh_params(&mut self) -> (client::ExpectServerDhParams, server::ExpectSetClientDhParams, Bytes) {
        let (client, server, body) = self.req_dh_params();
        let (server, body) = server.handle(body, NOW, &mut self.theirs).expect("honest");
        (client, server, body)
    }

    fn set_client_dh_params(&mut self) -> (client::ExpectDhGen, server::ExpectSetClientDhParams, Bytes) {
        let (client, server, body) = self.server_dh_params();
        let (client, body) = client.handle(body, NOW, &mut self.ours).expect("honest");
        (client, server, body)
    }

    fn whole(&mut self) -> client::Outcome {
        let (client, server, body) = self.set_client_dh_params();
        match server.handle(body, &mut |_| false).expect("honest") {
            server::Outcome::Done(_, body) => client.handle(body, &mut self.ours).expect("honest"),
            _ => unreachable!("no key is taken"),
        }
    }
}

fn handshake(c: &mut Criterion) {
    let mut pair = Pair::new();
    let mut group = c.benchmark_group("handshake");
    group.sample_size(20);
    group.bench_function("both", |b| b.iter(|| pair.whole()));

    let mut rng = StdRng::from_seed([4; 32]);
    group.bench_function("client/resPQ (factor, RSA_PAD)", |b| {
        b.iter_batched(|| pair.res_pq(), |(client, _, body)| client.handle(body, &mut rng), BatchSize::SmallInput);
    });
    group.bench_function("client/server_DH_params (checks, g_b, key)", |b| {
        b.iter_batched(
            || pair.server_dh_params(),
            |(client, _, body)| client.handle(body, NOW, &mut rng),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("server/req_pq_multi (pq)", |b| {
        let (_, body) = client::start(&client::Config::new(&pair.keys, DC, Mode::Permanent), &mut pair.ours);
        b.iter(|| server::start(&pair.server).handle(body.clone(), &mut rng));
    });
    group.bench_function("server/req_DH_params (RSA, g_a)", |b| {
        b.iter_batched(|| pair.req_dh_params(), |(_, server, body)| server.handle(body, NOW, &mut rng), BatchSize::SmallInput);
    });
    group.bench_function("server/set_client_DH_params (checks, key)", |b| {
        b.iter_batched(
            || pair.set_client_dh_params(),
            |(_, server, body)| server.handle(body, &mut |_| false),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, handshake);
criterion_main!(benches);
