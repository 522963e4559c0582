//! The same page of 100 messages, decoded and encoded by `tdl` and by `grammers-tl-types`.
//!
//! Decoding goes, on both sides, from the same bytes to a vector of messages that own what they hold or share it, and includes dropping
//! it. Theirs copies its strings out of a slice; ours shares the buffer, so what it starts from is one more handle on that, and taking and
//! giving back this handle is measured too. Encoding goes, on both sides, into a vector that is large enough from the start. Both begin
//! with values that they decoded or made before; both outcomes are compared, byte by byte, before anything is measured.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use grammers_tl_types::{Deserializable as _, Serializable as _, enums as theirs};
use tdl::tl::api::enums as ours;
use tdl::tl::{Deserialize as _, Serialize as _};

#[path = "../../samples/messages.rs"]
mod samples;

const COUNT: i32 = 100;

fn tl(c: &mut Criterion) {
    let our_messages = samples::messages(COUNT);
    let bytes = our_messages.to_bytes();
    let their_messages = Vec::<theirs::Message>::from_bytes(&bytes).expect("both speak the same layer");
    assert_eq!(their_messages.to_bytes(), bytes, "both mean the same bytes");
    println!("{COUNT} messages of {} bytes each", (bytes.len() - 8) / COUNT as usize);

    let mut group = c.benchmark_group("decode 100 messages");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("tdl", |b| {
        b.iter(|| drop(black_box(Vec::<ours::Message>::from_bytes(black_box(bytes.clone())).expect("own encoding"))));
    });
    group.bench_function("grammers-tl-types", |b| {
        b.iter(|| drop(black_box(Vec::<theirs::Message>::from_bytes(black_box(&bytes)).expect("both speak the same layer"))));
    });
    group.finish();

    let mut group = c.benchmark_group("encode 100 messages");
    group.throughput(Throughput::Elements(COUNT as u64));
    let mut out = Vec::with_capacity(bytes.len());
    group.bench_function("tdl", |b| {
        b.iter(|| {
            out.clear();
            black_box(&our_messages).serialize(&mut out);
        });
    });
    group.bench_function("grammers-tl-types", |b| {
        b.iter(|| {
            out.clear();
            black_box(&their_messages).serialize(&mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, tl);
criterion_main!(benches);
