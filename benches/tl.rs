//! TL: decoding and encoding a page of 100 messages, and what layers and JSON cost.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tdl::tl::api::enums::Message;
use tdl::tl::api::enums::messages::Messages;
use tdl::tl::api::functions::messages::GetHistory;
use tdl::tl::api::functions::upload::SaveFilePart;
use tdl::tl::api::{LAYER, types};
use tdl::tl::dynamic::json::{JsonOptions, from_json, to_json};
use tdl::tl::translate::Translator;
use tdl::tl::{Deserialize, Identifiable, Serialize, compiled_schema, dynamic, layers, schema};

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

/// A page of history said in layer 201 and lifted back, and the oldest layer put together from all differences.
fn by_layer(c: &mut Criterion) {
    let page =
        Messages::from(types::messages::Messages { messages: samples::messages(COUNT), ..Default::default() }).to_bytes();
    let down = Translator::between(LAYER, 201).expect("bundled");
    let up = Translator::between(201, LAYER).expect("bundled");
    let method = GetHistory::ID;
    let older = down.result(method, page.clone()).expect("messages can be said");
    let mut group = c.benchmark_group("tl layers");
    group.bench_function("page of 100 messages to layer 201", |b| b.iter(|| down.result(method, black_box(page.clone()))));
    group.bench_function("page of 100 messages from layer 201", |b| b.iter(|| up.result(method, black_box(older.clone()))));
    let part = SaveFilePart { bytes: vec![0; 512 << 10].into(), ..Default::default() }.to_bytes();
    group.bench_function("part of a file", |b| b.iter(|| down.request(black_box(part.clone()))));
    let value = dynamic::decode(compiled_schema(), page).expect("own encoding");
    let options = JsonOptions::default();
    let json = to_json(&value, &options);
    group.bench_function("page of 100 messages to JSON", |b| b.iter(|| to_json(black_box(&value), &options)));
    group.bench_function("page of 100 messages from JSON", |b| {
        b.iter(|| from_json(compiled_schema(), black_box(&json), &options).map(drop))
    });
    let differences = [
        include_str!("../tl-schema/layers/229.delta"),
        include_str!("../tl-schema/layers/227.delta"),
        include_str!("../tl-schema/layers/224.delta"),
        include_str!("../tl-schema/layers/222.delta"),
        include_str!("../tl-schema/layers/216.delta"),
        include_str!("../tl-schema/layers/214.delta"),
        include_str!("../tl-schema/layers/201.delta"),
        include_str!("../tl-schema/layers/199.delta"),
        include_str!("../tl-schema/layers/198.delta"),
        include_str!("../tl-schema/layers/181.delta"),
        include_str!("../tl-schema/layers/158.delta"),
    ];
    group.bench_function("load layer 158", |b| b.iter(|| layers::apply(compiled_schema(), differences).map(drop)));
    group.finish();
}

criterion_group!(benches, typed, by_schema, by_layer);
criterion_main!(benches);
