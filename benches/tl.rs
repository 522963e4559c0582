//! TL: decoding and encoding a page of 100 messages.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tdl::tl::api::enums::Message;
use tdl::tl::{Deserialize, Serialize, compiled_schema, dynamic, schema};

#[path = "samples/messages.rs"]
mod samples;

const COUNT: i32 = 100;

fn typed(c: &mut Criterion) {
    let messages = samples::messages(COUNT);
    let bytes = messages.to_bytes();
    let mut group = c.benchmark_group("tl");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("decode 100 messages", |b| {
        b.iter(|| Vec::<Message>::from_bytes(black_box(bytes.clone())).expect("own encoding"))
    });
    group.bench_function("encode 100 messages", |b| {
        let mut out = Vec::with_capacity(bytes.len());
        b.iter(|| {
            out.clear();
            black_box(&messages).serialize(&mut out);
        });
    });
    group.finish();
}

fn by_schema(c: &mut Criterion) {
    let message = samples::messages(1).remove(0).to_bytes();
    let mut group = c.benchmark_group("tl dynamic");
    let schema = compiled_schema();
    group.bench_function("decode a message", |b| {
        b.iter(|| dynamic::decode(schema, black_box(message.clone())).map(drop).expect("own encoding"));
    });
    let text = include_str!("../tl-schema/api.tl");
    group.bench_function("parse the API schema", |b| b.iter(|| schema::parse(black_box(text)).expect("a test parses it")));
    group.finish();
}

criterion_group!(benches, typed, by_schema);
criterion_main!(benches);
