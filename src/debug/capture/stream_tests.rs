use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng as _, RngExt as _, SeedableRng};

use super::*;

/// What comes out of a stream that begins behind `isn`.
struct Heard {
    stream: Stream,
    bytes: Vec<u8>,
}

impl Heard {
    fn from(isn: u32) -> Self {
        let mut stream = Stream::default();
        stream.opened(isn);
        Self { stream, bytes: Vec::new() }
    }

    fn segment(&mut self, seq: u32, payload: &[u8]) -> &mut Self {
        self.stream.segment(seq, payload, |bytes| self.bytes.extend_from_slice(bytes));
        self
    }
}

#[test]
fn in_order_twice_and_out_of_order() {
    let mut heard = Heard::from(99);
    heard.segment(100, b"abc").segment(103, b"def").segment(103, b"def").segment(100, b"abc");
    assert_eq!(heard.bytes, b"abcdef");
    heard.segment(112, b"mno").segment(109, b"jkl");
    assert_eq!((heard.bytes.len(), heard.stream.held() > 0), (6, true));
    heard.segment(106, b"ghi");
    assert_eq!((&heard.bytes[..], heard.stream.held()), (&b"abcdefghijklmno"[..], 0));
    assert_eq!(heard.stream.finish(), None);
}

#[test]
fn what_overlaps_counts_once_and_the_first_wins() {
    let mut heard = Heard::from(99);
    heard.segment(100, b"abcd").segment(102, b"XXef");
    assert_eq!(heard.bytes, b"abcdef");
    // Behind a hole: the longer one of two that begin at the same place; overlaps of others are cut when their turn comes.
    heard.segment(110, b"kl").segment(110, b"klmn").segment(112, b"XXop").segment(108, b"ijXX").segment(106, b"gh");
    assert_eq!(heard.bytes, b"abcdefghijXXmnop");
    // A sign of life repeats the last byte.
    heard.segment(115, b"p").segment(116, b"q");
    assert_eq!(heard.bytes, b"abcdefghijXXmnopq");
}

#[test]
fn numbers_go_round() {
    let mut heard = Heard::from(u32::MAX - 2);
    heard.segment(3, b"f").segment(u32::MAX - 1, b"abcde").segment(u32::MAX - 1, b"ab");
    assert_eq!(heard.bytes, b"abcdef");
    // From another time, or nonsense.
    heard.segment(3_u32.wrapping_sub(0x7000_0000), b"old").segment(0x7000_0000, b"far");
    assert_eq!((&heard.bytes[..], heard.stream.held()), (&b"abcdef"[..], 0));
}

#[test]
fn a_stream_whose_beginning_was_not_seen_begins_where_it_is_entered() {
    let mut heard = Heard { stream: Stream::default(), bytes: Vec::new() };
    heard.stream.acknowledge(5);
    heard.segment(500, b"abc").segment(400, b"before").segment(503, b"d");
    assert_eq!(heard.bytes, b"abcd");
    assert_eq!(heard.stream.finish(), None);
}

#[test]
fn a_hole_is_told_at_the_end() {
    let mut heard = Heard::from(99);
    heard.segment(100, b"abc").segment(110, b"klm").segment(120, b"uv");
    assert_eq!(heard.stream.finish(), Some(Gap { at: 3, missing: 7, unused: 5 }));
    assert_eq!(heard.stream.held(), 0);
    // Nothing is passed on behind it.
    heard.segment(103, b"defghij");
    assert_eq!((&heard.bytes[..], heard.stream.finish().unwrap().unused), (&b"abc"[..], 12));
}

#[test]
fn what_the_receiver_has_and_we_do_not_is_a_hole() {
    let mut heard = Heard::from(99);
    heard.segment(100, b"abc").stream.acknowledge(103);
    assert_eq!(heard.stream.finish(), None);
    heard.stream.acknowledge(104);
    assert_eq!(heard.stream.finish(), None, "one more may be the end of the stream");
    heard.stream.acknowledge(153);
    assert_eq!(heard.stream.finish(), Some(Gap { at: 3, missing: 49, unused: 0 }));

    let mut heard = Heard::from(99);
    heard.segment(100, b"abc").stream.ended(103);
    heard.stream.acknowledge(104);
    assert!(heard.stream.is_complete());
    assert_eq!(heard.stream.finish(), None);

    let mut heard = Heard::from(99);
    heard.segment(100, b"abc").stream.ended(110);
    assert!(!heard.stream.is_complete());
    assert_eq!(heard.stream.finish(), Some(Gap { at: 3, missing: 7, unused: 0 }));
}

#[test]
fn too_much_behind_a_hole_gives_it_up() {
    let mut heard = Heard::from(99);
    heard.segment(100, b"abc");
    let chunk = vec![0; 1 << 20];
    for n in 0..9 {
        heard.segment(200 + n * (1 << 20), &chunk);
    }
    let gap = heard.stream.gap().expect("given up");
    assert_eq!((gap.at, gap.missing, heard.stream.held()), (3, 97, 0));

    let mut heard = Heard::from(99);
    for n in 0..=MAX_SEGMENTS as u32 {
        heard.segment(200 + 2 * n, b"x");
    }
    assert!(heard.stream.gap().is_some(), "many small ones are as good");
}

/// Whatever the order, the sizes and the repetitions: what comes out is what was sent.
#[test]
fn any_order_of_any_pieces_makes_the_same_stream() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sent = vec![0; rng.random_range(1..5000)];
        rng.fill_bytes(&mut sent);
        let isn: u32 = rng.random();
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < sent.len() {
            let end = (at + rng.random_range(1..600)).min(sent.len());
            for _ in 0..rng.random_range(1..3) {
                // Some begin earlier and some end later than they would have to.
                let (start, end) = (at - rng.random_range(0..=at.min(50)), (end + rng.random_range(0..50)).min(sent.len()));
                pieces.push((start, end));
            }
            at = end;
        }
        pieces.shuffle(&mut rng);
        let mut heard = Heard::from(isn);
        for (start, end) in pieces {
            heard.segment(isn.wrapping_add(1 + start as u32), &sent[start..end]);
        }
        assert!(heard.bytes == sent, "seed {seed}");
        assert_eq!((heard.stream.finish(), heard.stream.held()), (None, 0), "seed {seed}");
    }
}
