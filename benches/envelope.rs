//! Sealing and opening encrypted messages: the work per message that no design can avoid, and what is added to it.
//!
//! `cargo bench --no-default-features --bench envelope`

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};
use tdl::{
    crypto::AuthKey,
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::envelope::{Header, Side, open, open_many, seal, seal_many},
};

/// An acknowledgement, a message, a page of history, a file part.
const SIZES: [usize; 4] = [64, 1 << 10, 64 << 10, 512 << 10];

fn envelope(c: &mut Criterion) {
    let key = AuthKey::from_bytes(&std::array::from_fn(|i| i as u8));
    let header = Header { salt: Salt(1), session_id: SessionId(2), msg_id: MsgId(4), seq_no: SeqNo(1) };
    let mut rng = StdRng::from_seed([1; 32]);
    for size in SIZES {
        let body = vec![7; size];
        let mut group = c.benchmark_group(format!("envelope/{size}"));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("seal", |b| {
            b.iter(|| seal(&key, Side::Client, &header, &[black_box(&body)], &mut rng));
        });
        let sealed = seal(&key, Side::Server, &header, &[&body], &mut rng);
        group.bench_function("open", |b| {
            // The copy is not measured: opening consumes the frame that was received.
            b.iter_batched(|| sealed.clone(), |frame| open(&key, Side::Server, frame), BatchSize::LargeInput);
        });
        group.finish();

        // Side by side: what several messages cost that came, or go, together.
        let mut group = c.benchmark_group(format!("envelope/{size}/side by side"));
        for count in [2, 3, 4] {
            group.throughput(Throughput::Bytes((count * size) as u64));
            let parts = [&body[..]];
            let messages = vec![(header, &parts[..]); count];
            group.bench_function(format!("seal {count}"), |b| {
                b.iter(|| seal_many(&key, Side::Client, black_box(&messages), &mut rng));
            });
            let sealed = vec![sealed.clone(); count];
            group.bench_function(format!("open {count}"), |b| {
                b.iter_batched(|| sealed.clone(), |frames| open_many(&key, Side::Server, frames), BatchSize::LargeInput);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, envelope);
criterion_main!(benches);
