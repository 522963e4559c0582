//! What the steady path allocates, in both roles: for a frame that is sent, that frame; for one that is received, nothing.
//!
//! A counting allocator stands in front of the system's. It counts for the thread that asks, and only while asked to, so that the test
//! runner's own threads do not matter. Each scenario first runs until every table and queue has its size.

// A global allocator cannot be written without.
#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait; this one passes everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::{SeedableRng, rngs::StdRng};
use tdl::clock::Now;
use tdl::crypto::AuthKey;
use tdl::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use tdl::mtproto::container;
use tdl::mtproto::envelope::{self, Header, Side};
use tdl::mtproto::session::{ClientParams, Event, FutureSalt, RequestOptions, ServerParams, Session};
use tdl::transport::{Codec, Detector, Frame, Kind, Options};

struct Counting;

thread_local! {
    static COUNTED: Cell<Option<Count>> = const { Cell::new(None) };
}

/// Allocations, and their bytes. Growing an allocation counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    allocations: usize,
    bytes: usize,
}

fn note(bytes: usize) {
    // A thread that is ending has no counter any more.
    let _ = COUNTED.try_with(|counted| {
        if let Some(count) = counted.get() {
            counted.set(Some(Count { allocations: count.allocations + 1, bytes: count.bytes + bytes }));
        }
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and adds what it allocates to `count`.
fn counted<T>(count: &mut Count, work: impl FnOnce() -> T) -> T {
    COUNTED.set(Some(*count));
    let result = work();
    *count = COUNTED.take().expect("counting");
    result
}

const NOW: Now = Now::new(Duration::from_secs(1000), Duration::from_secs(1_700_000_000));
const SESSION: SessionId = SessionId(0x5e55);
const SALT: Salt = Salt(0x5a17);
/// Rounds before those that count.
const WARM_UP: usize = 700;
const ROUNDS: usize = 200;

fn key() -> AuthKey {
    AuthKey::from_bytes(&std::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ 0x5c))
}

fn rng() -> StdRng {
    StdRng::from_seed([5; 32])
}

/// Both ends of a transport, its first bytes exchanged.
fn transports(options: &Options, rng: &mut StdRng) -> (Codec, Codec) {
    let mut ours = Codec::client(options, rng);
    let mut wire = BytesMut::new();
    let plain: Vec<u8> = [[1; 20], [7; 20]].concat();
    ours.encode(&plain, rng, &mut wire).expect("aligned");
    let mut theirs = Detector::new().detect(&mut wire).expect("ours").expect("complete");
    theirs.decode(&mut wire).expect("ours").expect("complete");
    (ours, theirs)
}

/// Makes a buffer one that several handles can share: with a reference count, as a read buffer has from its first frame on.
fn share(buffer: &mut BytesMut) {
    drop(buffer.split_to(0));
    let spare = buffer.split_off(buffer.len());
    drop(spare);
}

/// Both ends of a transport and of a session.
struct Pair {
    client: Session,
    server: Session,
    ours: Codec,
    theirs: Codec,
    now: Now,
    rng: StdRng,
    /// What the client's socket would read into and write from.
    inbox: BytesMut,
    outbox: BytesMut,
    of_client: End,
    of_server: End,
}

/// What one end has done.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    sending: Count,
    receiving: Count,
    frames_sent: usize,
    frames_received: usize,
    /// Bytes of the frames that it sealed.
    sealed: usize,
}

impl End {
    /// Every frame that was sent is one allocation, and there was no other.
    fn is_exact(&self) -> bool {
        self.sending == Count { allocations: self.frames_sent, bytes: self.sealed } && self.receiving == Count::default()
    }
}

impl Pair {
    fn new(options: Options) -> Self {
        let mut rng = rng();
        let mut client = ClientParams::new(key(), SESSION, [7; 32]);
        client.salts = vec![FutureSalt::unlimited(SALT)];
        let server = ServerParams::new(key(), SESSION, vec![FutureSalt::unlimited(SALT)], [9; 32]);
        let (ours, theirs) = transports(&options, &mut rng);
        Self {
            client: Session::client(client, NOW),
            server: Session::server(server, NOW),
            ours,
            theirs,
            now: NOW,
            rng,
            inbox: BytesMut::new(),
            outbox: BytesMut::with_capacity(1 << 20),
            of_client: End::default(),
            of_server: End::default(),
        }
    }

    fn forget(&mut self) {
        (self.of_client, self.of_server) = (End::default(), End::default());
    }

    /// The client makes `requests` requests, all that there is to send goes to the server, its answers and `updates` come back.
    fn round(&mut self, requests: usize, updates: usize, body: &Bytes) {
        self.now = self.now.later(Duration::from_millis(100));
        let now = self.now;
        let Self { client, ours, outbox, rng, of_client: End { sending, frames_sent, sealed, .. }, .. } = self;
        counted(sending, || {
            for _ in 0..requests {
                let options = RequestOptions { compress: false, ..RequestOptions::default() };
                client.request(now, body.clone(), options).expect("there is room");
            }
        });
        outbox.clear();
        // What may wait for company has waited long enough.
        self.now = self.now.later(Duration::from_millis(5));
        let now = self.now;
        counted(sending, || client.handle_timeout(now));
        loop {
            let frame = counted(sending, || {
                let frame = client.poll_output(now)?;
                ours.encode(&frame, rng, outbox).expect("aligned");
                Some(frame)
            });
            let Some(frame) = frame else { break };
            *frames_sent += 1;
            *sealed += frame.capacity();
        }
        self.serve(updates, body);
        self.receive();
    }

    /// The server's side of it.
    fn serve(&mut self, updates: usize, body: &Bytes) {
        let now = self.now;
        // The buffer that the socket would have been read into.
        let mut wire = BytesMut::with_capacity(self.outbox.len().max(1));
        wire.extend_from_slice(&self.outbox);
        share(&mut wire);
        let Self { server, theirs, rng, of_server, .. } = self;
        let End { sending, receiving, frames_sent, frames_received, sealed } = of_server;
        counted(receiving, || {
            while let Some(frame) = theirs.decode(&mut wire).expect("ours") {
                let Frame::Payload(payload) = frame else { panic!("{frame:?}") };
                server.handle_input(now, payload).expect("the client keeps the rules");
                *frames_received += 1;
            }
        });
        counted(sending, || {
            for _ in 0..updates {
                server.push(now, body.clone()).expect("the client acknowledges");
            }
            while let Some(event) = server.poll_event() {
                if let Event::Request { msg_id, .. } = event {
                    server.respond(now, msg_id, body.clone(), false).expect("it waits");
                }
            }
        });
        // The client's buffer.
        let mut inbox = BytesMut::with_capacity(1 << 16);
        loop {
            let frame = counted(sending, || {
                let frame = server.poll_output(now)?;
                theirs.encode(&frame, rng, &mut inbox).expect("aligned");
                Some(frame)
            });
            let Some(frame) = frame else { break };
            *frames_sent += 1;
            *sealed += frame.capacity();
        }
        share(&mut inbox);
        self.inbox = inbox;
    }

    fn receive(&mut self) {
        let now = self.now;
        let Self { client, ours, inbox, of_client: End { receiving, frames_received, .. }, .. } = self;
        counted(receiving, || {
            while let Some(frame) = ours.decode(inbox).expect("ours") {
                let Frame::Payload(payload) = frame else { panic!("{frame:?}") };
                client.handle_input(now, payload).expect("the server keeps the rules");
                *frames_received += 1;
                while let Some(event) = client.poll_event() {
                    match event {
                        Event::Response { result, .. } => drop(result.expect("no error")),
                        Event::Update(body) => drop(body),
                        _ => {}
                    }
                }
            }
        });
    }
}

/// Both ends after so many rounds that tables hardly grow any more.
fn warm(kind: Kind, obfuscated: bool, requests: usize, updates: usize, body: &Bytes) -> Pair {
    let mut pair = Pair::new(Options { kind, obfuscated, dc: DcId(2) });
    for _ in 0..WARM_UP {
        pair.round(requests, updates, body);
    }
    pair
}

const HEADER: Header = Header { salt: SALT, session_id: SESSION, msg_id: MsgId(0x6553_f100_0000_0001), seq_no: SeqNo(1) };

fn every_transport() -> impl Iterator<Item = Options> {
    let options = |kind| [false, true].map(|obfuscated| Options { kind, obfuscated, dc: DcId(2) });
    Kind::ALL.into_iter().flat_map(options)
}

#[test]
fn the_counter_counts() {
    let mut count = Count::default();
    let kept = counted(&mut count, || vec![0_u8; 100]);
    drop(kept);
    assert_eq!(count, Count { allocations: 1, bytes: 100 });
    let mut grown = Vec::<u8>::with_capacity(10);
    counted(&mut count, || grown.reserve_exact(20));
    assert_eq!(count.allocations, 2);
}

/// From the bytes that a socket has read to the messages of a container, in every transport.
#[test]
fn frames_are_cut_opened_and_taken_apart_in_place() {
    let key = key();
    for options in every_transport() {
        let mut rng = rng();
        let (mut ours, mut theirs) = transports(&options, &mut rng);
        let mut body = container::header(3).to_vec();
        for number in 0..3 {
            body.extend(container::message_header(MsgId(HEADER.msg_id.0 - 12 + 4 * number), SeqNo(1), 40));
            body.extend([7; 40]);
        }
        let mut inbox = BytesMut::new();
        for _ in 0..ROUNDS {
            let frame = envelope::seal(&key, Side::Server, &HEADER, &[&body], &mut rng);
            theirs.encode(&frame, &mut rng, &mut inbox).expect("aligned");
        }
        share(&mut inbox);
        let (mut count, mut messages) = (Count::default(), 0);
        counted(&mut count, || {
            while let Some(frame) = ours.decode(&mut inbox).expect("ours") {
                let Frame::Payload(payload) = frame else { panic!("{frame:?}") };
                let opened = envelope::open(&key, Side::Server, payload).expect("sound");
                let parsed = container::parse(&opened.body, opened.msg_id).expect("sound");
                messages += parsed.filter(|message| message.body[..] == [7; 40]).count();
            }
        });
        assert_eq!((count, messages), (Count::default(), 3 * ROUNDS), "{options}");
    }
}

#[test]
fn sealing_allocates_the_frame_and_framing_nothing() {
    let key = key();
    for options in every_transport() {
        let mut rng = rng();
        let (mut ours, _) = transports(&options, &mut rng);
        let mut outbox = BytesMut::with_capacity(1 << 16);
        for len in [0, 40, 4000, 32_000] {
            let body = vec![7; len];
            let (mut sealing, mut framing) = (Count::default(), Count::default());
            let frame = counted(&mut sealing, || envelope::seal(&key, Side::Client, &HEADER, &[&body], &mut rng));
            outbox.clear();
            counted(&mut framing, || ours.encode(&frame, &mut rng, &mut outbox).expect("aligned"));
            assert_eq!(sealing, Count { allocations: 1, bytes: frame.len() }, "{options}, {len} bytes");
            assert_eq!(framing, Count::default(), "{options}, {len} bytes");
        }
    }
}

/// A frame that is sent is one allocation, of its own length, whatever is in it; one that is received is none. So it is for one request at
/// a time and for many, for answers and for updates, with the acknowledgements that they bring.
#[test]
fn a_session_allocates_the_frames_that_it_sends_and_nothing_else() {
    let body = Bytes::from([0x0bad_cafe_u32.to_le_bytes(), 7u32.to_le_bytes()].concat().repeat(16));
    for (requests, updates) in [(1, 0), (0, 1), (1, 1), (8, 0), (8, 8), (30, 10)] {
        let mut pair = warm(Kind::PaddedIntermediate, true, requests, updates, &body);
        // In one window a table may double for the last time. What every frame costs would show in all of them.
        let (mut client_exact, mut server_exact) = (false, false);
        for _ in 0..4 {
            pair.forget();
            for _ in 0..ROUNDS {
                pair.round(requests, updates, &body);
            }
            let Pair { of_client, of_server, .. } = &pair;
            println!("{requests} requests and {updates} updates a round, {ROUNDS} rounds:");
            println!("  client: {of_client:?}\n  server: {of_server:?}");
            for end in [of_client, of_server] {
                assert!(end.frames_sent > 0 && end.frames_received > 0);
            }
            assert!(of_client.frames_received >= ROUNDS / 2);
            client_exact |= of_client.is_exact();
            server_exact |= of_server.is_exact();
            if client_exact && server_exact {
                break;
            }
        }
        assert!(client_exact && server_exact, "{requests} requests and {updates} updates a round allocate more than frames");
    }
}
