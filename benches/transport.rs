//! What the transports cost: `cargo bench --no-default-features --bench transport`.
//!
//! `encode` writes one frame into a buffer that is used again; `decode` takes one off the front of a buffer filled for it, the copy into
//! that buffer, which a socket makes, not counted.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tdl::ids::DcId;
use tdl::transport::{Codec, Detector, Kind, Options};

/// A large file part with its envelope, and a short message.
const SIZES: [(&str, usize); 2] = [("512 KiB", 24 + (512 << 10) + 64), ("168 B", 168)];

fn rng() -> StdRng {
    StdRng::from_seed([42; 32])
}

fn transports(c: &mut Criterion) {
    for (size, len) in SIZES {
        let mut payload = vec![0; len];
        rng().fill_bytes(&mut payload);
        payload[0] |= 1;
        for kind in Kind::ALL {
            for obfuscated in [false, true] {
                let options = Options { kind, obfuscated, dc: DcId(2) };
                one(c, &options, size, &payload);
            }
        }
    }
}

fn one(c: &mut Criterion, options: &Options, size: &str, payload: &[u8]) {
    let mut group = c.benchmark_group(options.to_string());
    group.throughput(Throughput::Bytes(payload.len() as u64));
    let mut rng = rng();

    let (mut client, _) = connected(options, &mut rng);
    let mut out = BytesMut::new();
    group.bench_function(format!("encode/{size}"), |b| {
        b.iter(|| {
            out.clear();
            client.encode(black_box(payload), &mut rng, &mut out).expect("aligned");
        });
    });

    // Another connection: on the first one the server has missed frames.
    let (mut client, mut server) = connected(options, &mut rng);
    group.bench_function(format!("decode/{size}"), |b| {
        b.iter_batched(
            || {
                let mut wire = BytesMut::new();
                client.encode(payload, &mut rng, &mut wire).expect("aligned");
                wire
            },
            |mut wire| server.decode(&mut wire).expect("ours").expect("complete"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Both ends, the client's first frame sent and read.
fn connected(options: &Options, rng: &mut StdRng) -> (Codec, Codec) {
    let mut client = Codec::client(options, rng);
    let mut wire = BytesMut::new();
    client.encode(&[1; 40], rng, &mut wire).expect("aligned");
    let mut server = Detector::new().detect(&mut wire).expect("ours").expect("complete");
    server.decode(&mut wire).expect("ours").expect("complete");
    (client, server)
}

criterion_group!(benches, transports);
criterion_main!(benches);
