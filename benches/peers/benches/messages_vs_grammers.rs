//! Whole messages beside `grammers-crypto`, in one process, in turn: `cargo bench --bench messages_vs_grammers`.
//!
//! What is asked of the machine changes from second to second, and with it what any of these takes. So this is not criterion's way: each
//! round does each piece of work once, one after the other. Printed are the medians over many short rounds and the bound of the fastest
//! tenth, and what each is a multiple of. It is processor time of this thread, so that whoever else wants the processor does not
//! count. Whoever wants its other hardware thread does: several messages side by side keep all units of a core busy, and have only
//! part of them then, which the fastest tenth shows least. Only the ratios mean anything.
//!
//! On the way in a message of ours goes through `envelope`, as in a session, with all checks, and theirs through `decrypt_data_v2`. On the
//! way out both have their plaintext in place: `message::encrypt` beside `encrypt_data_v2`. Arguments: how many rounds (400), how many bytes of body (524288).

use std::time::Duration;

use bytes::BytesMut;
use grammers_crypto as grammers;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use tdl::crypto::{AuthKey, message};
use tdl::ids::{MsgId, Salt, SeqNo, SessionId};
use tdl::mtproto::envelope::{self, Header, Side};

/// The most messages at once.
const MOST: usize = 8;

const HEADER: Header = Header { salt: Salt(1), session_id: SessionId(2), msg_id: MsgId(4), seq_no: SeqNo(1) };

/// The processor time of this thread.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A piece of work: the messages in it, and what it took in each round.
struct Work {
    name: String,
    messages: u32,
    took: Vec<Duration>,
}

impl Work {
    fn new(name: impl Into<String>, messages: usize) -> Self {
        Self { name: name.into(), messages: messages as u32, took: Vec::new() }
    }

    fn note(&mut self, since: Duration) {
        self.took.push(now().saturating_sub(since));
    }

    /// Nanoseconds a message: by the median, and at the bound of the fastest tenth.
    fn figures(&mut self) -> [f64; 2] {
        self.took.sort_unstable();
        [2, 10].map(|part| self.took[self.took.len() / part].as_nanos() as f64 / f64::from(self.messages))
    }
}

fn print(title: &str, bytes: usize, theirs: &mut Work, ours: &mut [Work], enough: &[(usize, f64)]) {
    println!("{title}, {bytes} bytes a message, {} rounds in turn", theirs.took.len());
    println!("  {:<24} {:>17} {:>22}", "", "median", "fastest tenth");
    let reference = theirs.figures();
    let [median, tenth] = reference.map(|took| bytes as f64 / took);
    println!("  {:<24} {median:>6.3} GB/s  1.00   {tenth:>6.3} GB/s  1.00", theirs.name);
    for (at, work) in ours.iter_mut().enumerate() {
        let figures = work.figures();
        let [median, tenth] = figures.map(|took| bytes as f64 / took);
        let ratios = [reference[0] / figures[0], reference[1] / figures[1]];
        let wanted = enough.iter().find(|(wanted, _)| *wanted == at).map(|(_, ratio)| *ratio);
        let verdict = wanted.map_or(String::new(), |wanted| {
            let met = ratios.map(|ratio| if ratio >= wanted { "met" } else { "not met" });
            format!("   wanted: {wanted:.1} ({}, {})", met[0], met[1])
        });
        println!("  {:<24} {median:>6.3} GB/s {:>5.2}   {tenth:>6.3} GB/s {:>5.2}{verdict}", work.name, ratios[0], ratios[1]);
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let rounds = numbers.first().copied().unwrap_or(400).max(1);
    let len = numbers.get(1).copied().unwrap_or(512 << 10).next_multiple_of(16);

    let mut rng = StdRng::from_seed([42; 32]);
    let mut bytes = [0; 256];
    rng.fill_bytes(&mut bytes);
    let key = AuthKey::from_bytes(&bytes);
    let their_key = grammers::AuthKey::from_bytes(bytes);
    let mut body = vec![0; len];
    rng.fill_bytes(&mut body);
    let frames: Vec<BytesMut> = (0..MOST).map(|_| envelope::seal(&key, Side::Server, &HEADER, &[&body], &mut rng)).collect();

    // Both take the same frame for the same message.
    let opened = envelope::open(&key, Side::Server, frames[0].clone()).expect("it was sealed for us");
    let mut copy = frames[0].to_vec();
    let theirs = grammers::decrypt_data_v2(&mut copy, &their_key).expect("it was sealed for them as well");
    assert_eq!(theirs[envelope::INNER_HEADER_LEN..][..len], opened.body);

    let batches = [1, 2, 3, 4, 5, 6, 8];
    let mut receive_theirs = Work::new("grammers, one by one", 1);
    let mut send_theirs = Work::new("grammers, one by one", 1);
    let side_by_side = |count| if count == 1 { "tdl, one".to_owned() } else { format!("tdl, {count} side by side") };
    let mut receive: Vec<_> = batches.iter().map(|count| Work::new(side_by_side(*count), *count)).collect();
    let mut send: Vec<_> = batches.iter().map(|count| Work::new(side_by_side(*count), *count)).collect();

    // What grammers has in its buffer before it encrypts: the inner header and the body, with room in front and behind.
    let inner: Vec<u8> = [&[0; envelope::INNER_HEADER_LEN][..], &body].concat();
    for _ in 0..rounds {
        let mut copy = frames[0].to_vec();
        let since = now();
        let good = grammers::decrypt_data_v2(&mut copy, &their_key).is_ok();
        receive_theirs.note(since);
        assert!(good);
        for (work, count) in receive.iter_mut().zip(batches) {
            let mut copies: Vec<BytesMut> = frames[..count].iter().map(|frame| BytesMut::from(&frame[..])).collect();
            let since = now();
            let opened = match count {
                1 => vec![envelope::open_with_token(&key, Side::Server, copies.remove(0))],
                _ => envelope::open_many(&key, Side::Server, copies),
            };
            work.note(since);
            assert!(opened.iter().all(Result::is_ok));
        }

        let mut buffer = grammers::DequeBuffer::with_capacity(inner.len() + 64, 64);
        buffer.extend(inner.iter().copied());
        let since = now();
        grammers::encrypt_data_v2(&mut buffer, &their_key);
        send_theirs.note(since);
        for (work, count) in send.iter_mut().zip(batches) {
            let mut plain: Vec<Vec<message::Block>> = vec![inner.as_chunks().0.to_vec(); count];
            let mut outgoing: Vec<_> = plain
                .iter_mut()
                .map(|data| message::Outgoing { auth_key: &key, writer: Side::Client, data, msg_key_large: [0; 32] })
                .collect();
            let since = now();
            message::encrypt(&mut outgoing);
            work.note(since);
            assert!(outgoing.iter().all(|outgoing| outgoing.msg_key_large != [0; 32]));
        }
    }
    println!("kernel: {}", message::kernel());
    print("receive (decrypt, verify)", len, &mut receive_theirs, &mut receive, &[(0, 2.4), (2, 6.0), (3, 6.0)]);
    print("send (hash, encrypt)", len, &mut send_theirs, &mut send, &[(1, 2.4), (2, 2.4)]);
}
