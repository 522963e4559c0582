//! What a trace costs where it is made: nothing to speak of when it is off, little when it goes to a file.
//!
//! `cargo bench --no-default-features --features debug --bench trace`

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use tdl::clock::Now;
use tdl::crypto::AuthKey;
use tdl::debug::background::Jsonl;
use tdl::debug::jsonl::{self, Header};
use tdl::debug::{Background, Plan, Shown, Style, WhenFull, human};
use tdl::ids::{DcId, MsgId, SeqNo, SessionId};
use tdl::mtproto::session::{ClientParams, RequestOptions, ServerParams, Session};
use tdl::trace::{ConnId, Event, LayerSet, Record, Role, Tracer};

const NOW: Now = Now::new(Duration::from_secs(5), Duration::from_secs(1_700_000_000));

fn event() -> Event {
    Event::MessageSent { msg_id: MsgId(4), seq_no: SeqNo(1), constructor: 0xc4f9_186b, len: 84, container: None }
}

/// A sink into nothing, that writes all the same.
fn file(layers: LayerSet) -> Arc<Background> {
    let header = Header::new(Duration::ZERO, layers, Shown::Public);
    let plan = Plan { layers, shown: Shown::Public, when_full: WhenFull::Drop };
    Background::spawn(io::sink(), Jsonl { header }, plan).expect("a thread can be had")
}

fn emit(c: &mut Criterion) {
    let mut group = c.benchmark_group("trace/emit");
    let off = Tracer::off();
    group.bench_function("off", |b| b.iter(|| black_box(&off).emit(NOW, event)));
    let elsewhere = Tracer::new(file("rpc".parse().expect("a layer")));
    group.bench_function("another layer", |b| b.iter(|| black_box(&elsewhere).emit(NOW, event)));
    let on = Tracer::new(file(LayerSet::ALL));
    group.bench_function("to a file", |b| b.iter(|| black_box(&on).emit(NOW, event)));
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("trace/write");
    let record = Record { at: NOW.wall, conn: ConnId(1), dc: DcId(2), role: Role::Client, event: event() };
    let mut line = Vec::new();
    group.bench_function("jsonl", |b| {
        b.iter(|| {
            line.clear();
            jsonl::put_record(black_box(&record), &mut line);
        });
    });
    group.bench_function("human", |b| b.iter(|| human::line(black_box(&record), &Style::default())));
    group.finish();
}

/// A request and its answer of 64 KiB, both ends.
fn exchange(client: &mut Session, server: &mut Session, answer: &Bytes, now: Now) {
    let options = RequestOptions { alone: true, compress: false, ..RequestOptions::default() };
    client.request(now, Bytes::from_static(&[1; 64]), options).expect("there is room");
    while let Some(frame) = client.poll_output(now) {
        server.handle_input(now, frame).expect("it is a good frame");
    }
    while let Some(event) = server.poll_event() {
        if let tdl::mtproto::session::Event::Request { msg_id, .. } = event {
            server.respond(now, msg_id, answer.clone(), false).expect("it was asked");
        }
    }
    while let Some(frame) = server.poll_output(now) {
        client.handle_input(now, frame).expect("it is a good frame");
    }
    while client.poll_event().is_some() {}
}

fn session(c: &mut Criterion) {
    let mut group = c.benchmark_group("trace/round trip");
    let answer = Bytes::from(vec![7; 64 << 10]);
    for (name, tracer) in [
        ("off", Tracer::off()),
        ("default layers", Tracer::new(file(LayerSet::default()))),
        ("all layers", Tracer::new(file(LayerSet::ALL))),
    ] {
        let key = || AuthKey::from_bytes(&[7; 256]);
        let salts = vec![tdl::mtproto::session::FutureSalt::unlimited(tdl::ids::Salt(1))];
        let params = ClientParams { tracer, salts: salts.clone(), ..ClientParams::new(key(), SessionId(7), [1; 32]) };
        let mut client = Session::client(params, NOW);
        let mut server = Session::server(ServerParams::new(key(), SessionId(7), salts, [2; 32]), NOW);
        let mut now = NOW;
        group.bench_function(name, |b| {
            b.iter(|| {
                now = now.later(Duration::from_millis(1));
                exchange(&mut client, &mut server, &answer, now);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, emit, write, session);
criterion_main!(benches);
