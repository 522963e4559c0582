//! By the instructions of x86-64 for AES and for SHA.
//!
//! * [`keys`]: round keys; [`sha`]: the hash; [`bytes`]: memory and registers.
//! * [`lanes`]: the kernels; [`abreast`] (by [`eight`] and by [`sixteen`]) and [`ahead`]: those of the hash and of reception where the
//!   instructions for SHA are slow.
//! * [`ctr`]: the key stream of AES-256-CTR.
//! * here: which processor it is, and which message is in which lane.

#![expect(
    unsafe_code,
    reason = "vector loads and stores, a fence for the compiler, and calls of what only some processors can do"
)]

mod abreast;
mod ahead;
mod bytes;
mod ctr;
mod eight;
mod keys;
mod lanes;
mod sha;
mod sixteen;

use std::sync::LazyLock;

pub(super) use self::ctr::Stream;

use self::bytes::load;
use self::eight::EIGHT;
use self::lanes::{Chain, Hash, avx, avx512, avx512_vector, plain};
use self::sha::{Group, State, compress, words};
use self::sixteen::SIXTEEN;
use crate::{BLOCK, Block, Cipher, Digest, LANES, Received};

/// An encoding that this processor has: whoever holds one may run the kernels of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way(Encoding);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// That of SSE.
    Plain,
    /// With three operands.
    Avx,
    /// With three operands and 32 registers.
    Avx512,
    /// The same, and as little as can be by the instructions for SHA. With AVX-512BW.
    Avx512Vector,
}

/// Whether the instructions for SHA are slow beside others. Intel's processors (Ice Lake, measured) take three cycles for two rounds, whoever they
/// are for, and five to six for each instruction of the message schedule; AMD's (Zen 3 and 4, measured) do all of that in half of the time
/// and less.
static SLOW_SHA: LazyLock<bool> = LazyLock::new(|| {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
});

impl Way {
    /// The fastest one.
    pub(super) fn best() -> Option<Self> {
        let base = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("ssse3");
        if !base {
            return None;
        }
        if !is_x86_feature_detected!("avx") {
            return Some(Self(Encoding::Plain));
        }
        let wide =
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx2");
        Some(Self(match wide {
            false => Encoding::Avx,
            true if *SLOW_SHA && is_x86_feature_detected!("avx512bw") => Encoding::Avx512Vector,
            true => Encoding::Avx512,
        }))
    }

    /// All that this processor has.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let all = [Encoding::Plain, Encoding::Avx, Encoding::Avx512, Encoding::Avx512Vector].map(Self);
        match Self::best() {
            None => vec![],
            Some(Self(Encoding::Plain)) => all[..1].to_vec(),
            Some(Self(Encoding::Avx)) => all[..2].to_vec(),
            Some(Self(Encoding::Avx512 | Encoding::Avx512Vector)) if is_x86_feature_detected!("avx512bw") => all.to_vec(),
            Some(Self(Encoding::Avx512 | Encoding::Avx512Vector)) => all[..3].to_vec(),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Encoding::Plain => "x86-64, SSE encoding",
            Encoding::Avx => "x86-64, AVX encoding",
            Encoding::Avx512 => "x86-64, AVX-512VL encoding",
            Encoding::Avx512Vector => "x86-64, AVX-512VL encoding, SHA mostly by vectors",
        }
    }

    pub(super) fn encrypt(self, messages: &mut [Cipher<'_>]) {
        // SAFETY: a `Way` is made only where the processor was found to have AES and the SSE features that the function wants.
        unsafe { run::<Ciphering<'_, false>, _>(self, messages) }
    }

    pub(super) fn decrypt(self, messages: &mut [Cipher<'_>]) {
        // SAFETY: as for `encrypt`.
        unsafe { run::<Ciphering<'_, true>, _>(self, messages) }
    }

    pub(super) fn hash(self, messages: &mut [Digest<'_>]) {
        // SAFETY: as for `encrypt`, and the instructions of SHA were found with them.
        unsafe { run::<Hashing<'_>, _>(self, messages) }
    }

    pub(super) fn receive(self, messages: &mut [Received<'_>]) {
        // SAFETY: as for `hash`.
        unsafe { run::<Receiving<'_>, _>(self, messages) }
    }
}

/// A message in a lane.
trait Lane<'a, Message>: Sized {
    /// How many are worked on side by side, at most, when there are so many.
    fn most(_way: Way, _there: usize) -> usize {
        LANES
    }
    /// Takes a message up, with all that comes before its first whole group.
    ///
    /// # Safety
    /// The processor has AES, SHA, SSSE3 and SSE4.1. So it has for the other functions.
    unsafe fn start(message: &'a mut Message) -> Self;
    /// Whole groups that are left.
    fn groups(&self) -> usize;
    /// Works on `count` groups in each lane: no more than each has left.
    ///
    /// # Safety
    /// The processor has what `way` is named for besides.
    unsafe fn advance<const N: usize>(way: Way, lanes: [&mut Self; N], count: usize);
    /// The same for more than [`LANES`], of which those in use come first. Only where [`Self::most`] says so.
    ///
    /// # Safety
    /// As for `advance`.
    unsafe fn advance_many(_way: Way, _lanes: [Option<&mut Self>; SIXTEEN], _count: usize) {
        unreachable!("so many are never worked on side by side")
    }
    /// What comes after the last whole group.
    ///
    /// # Safety
    /// As for `start`.
    unsafe fn finish(self);
}

/// Messages that are taken up at the same time, at most.
const SLOTS: usize = SIXTEEN + 2;

/// Groups after which it is looked at anew whose turn it is, when there are more messages than lanes: 4 KiB.
const SLICE: usize = 64;
/// Or one group in so many of those that the shortest in a lane has left, if that is more: a turn begins and ends with what is not woven
/// (measured on Ice Lake).
const PART: usize = 16;

/// Works on all messages, side by side in as many lanes as are worth it. The last ones take turns when there are more of them than lanes:
/// those that have most left come first, so that all end together and none is left to run alone.
///
/// # Safety
/// The processor has AES, SHA, SSSE3 and SSE4.1, and what `way` is named for.
#[inline(always)]
unsafe fn run<'a, L: Lane<'a, M>, M>(way: Way, messages: &'a mut [M]) {
    if let [only] = messages {
        // Most calls are of this kind, and most messages are short: nobody's turn has to be looked for.
        // SAFETY: the caller says that the processor has the features of `way`.
        unsafe {
            let mut lane = L::start(only);
            let count = lane.groups();
            if count > 0 {
                L::advance(way, [&mut lane], count);
            }
            lane.finish();
        }
        return;
    }
    let mut waiting = messages.iter_mut();
    let mut slots: [Option<L>; SLOTS] = [const { None }; SLOTS];
    loop {
        for slot in &mut slots {
            while slot.is_none()
                && let Some(message) = waiting.next()
            {
                // SAFETY: the caller says that the processor has the features.
                let started = unsafe { L::start(message) };
                if started.groups() == 0 {
                    // SAFETY: as above.
                    unsafe { started.finish() };
                } else {
                    *slot = Some(started);
                }
            }
        }
        let there = slots.iter().flatten().count();
        let width = L::most(way, there);
        let taking_turns = waiting.len() == 0 && there > width;
        let mut order = slots.each_mut().map(Option::as_mut);
        // Whatever is in use comes first.
        order.sort_by_key(|lane| {
            lane.as_ref().map_or((true, 0), |lane| (false, if taking_turns { usize::MAX - lane.groups() } else { 0 }))
        });
        let mut lanes: [Option<&mut L>; SIXTEEN] = [const { None }; SIXTEEN];
        for (lane, next) in lanes.iter_mut().zip(order).take(width) {
            *lane = next;
        }
        let Some(least) = lanes.iter().flatten().map(|lane| lane.groups()).min() else { return };
        let count = if taking_turns { least.min(SLICE.max(least / PART)) } else { least };
        // SAFETY: the caller says that the processor has the features of `way`; none has less than `count` left.
        unsafe {
            match lanes {
                [Some(a), None, ..] => L::advance(way, [a], count),
                [Some(a), Some(b), None, ..] => L::advance(way, [a, b], count),
                [Some(a), Some(b), Some(c), None, ..] => L::advance(way, [a, b, c], count),
                [Some(a), Some(b), Some(c), Some(d), None, ..] => L::advance(way, [a, b, c, d], count),
                many => L::advance_many(way, many, count),
            }
        }
        for slot in &mut slots {
            if let Some(done) = slot.take_if(|lane| lane.groups() == 0) {
                // SAFETY: as for `start`.
                unsafe { done.finish() };
            }
        }
    }
}

/// A message that is encrypted or decrypted.
struct Ciphering<'a, const DECRYPT: bool> {
    chain: Chain,
    groups: &'a mut [Group],
    tail: &'a mut [Block],
}

impl<'a, const DECRYPT: bool> Lane<'a, Cipher<'_>> for Ciphering<'a, DECRYPT> {
    unsafe fn start(message: &'a mut Cipher<'_>) -> Self {
        // SAFETY: the caller says that the processor has AES.
        let chain = unsafe { Chain::new::<DECRYPT>(message.key, message.iv) };
        let (groups, tail) = message.data.as_chunks_mut();
        Self { chain, groups, tail }
    }

    fn groups(&self) -> usize {
        self.groups.len()
    }

    unsafe fn advance<const N: usize>(way: Way, lanes: [&mut Self; N], count: usize) {
        let mut lanes = lanes.map(|lane| (&mut lane.chain, take(&mut lane.groups, count)));
        let data = lanes.each_mut().map(|(_, data)| std::mem::take(data));
        let chains = lanes.map(|(chain, _)| chain);
        // SAFETY: the caller says that the processor has what the way is named for.
        unsafe {
            match way.0 {
                Encoding::Plain => plain::cipher::<DECRYPT, N>(chains, data, count),
                Encoding::Avx => avx::cipher::<DECRYPT, N>(chains, data, count),
                Encoding::Avx512 => avx512::cipher::<DECRYPT, N>(chains, data, count),
                Encoding::Avx512Vector => avx512_vector::cipher::<DECRYPT, N>(chains, data, count),
            }
        }
    }

    unsafe fn finish(mut self) {
        // SAFETY: the caller says that the processor has AES.
        unsafe { self.chain.advance::<DECRYPT>(self.tail) }
    }
}

/// A plaintext that is hashed.
struct Hashing<'a> {
    /// `None` for one that does not fill a group.
    hash: Option<Hash>,
    prefix: &'a [u8; 32],
    total: usize,
    groups: &'a [Group],
    tail: &'a [Block],
    digest: &'a mut [u8; 32],
}

/// The first group of what is hashed: the prefix, and the first two blocks of the plaintext.
///
/// # Safety
/// The processor has SSSE3.
unsafe fn first_group(prefix: &[u8; 32], data: &[Block; 2]) -> Hash {
    let ([low, high], []) = prefix.as_chunks() else { unreachable!("32 bytes are two blocks") };
    // SAFETY: the caller says that the processor has SSSE3.
    let next = unsafe { [words(load(low)), words(load(high)), words(load(&data[0])), words(load(&data[1]))] };
    Hash { state: State::new(), next }
}

/// The digest of what is in `hash` and of the blocks after it, fewer than four.
///
/// # Safety
/// The processor has SHA, SSE4.1 and SSSE3.
unsafe fn digest(hash: Option<Hash>, prefix: &[u8; 32], tail: &[Block], total: usize) -> [u8; 32] {
    // SAFETY: the caller says that the processor has the features.
    unsafe {
        match hash {
            Some(Hash { mut state, next }) => {
                compress(&mut state, next);
                state.finish(tail.as_flattened(), total)
            }
            // Not two blocks of plaintext.
            None => {
                let mut rest = [0; 48];
                rest[..32].copy_from_slice(prefix);
                rest[32..total].copy_from_slice(tail.as_flattened());
                State::new().finish(&rest[..total], total)
            }
        }
    }
}

impl<'a> Lane<'a, Digest<'_>> for Hashing<'a> {
    /// Places without a message cost as much as those with one: of five, four at a time are faster, and of twelve, eight.
    fn most(way: Way, there: usize) -> usize {
        match there {
            _ if way.0 != Encoding::Avx512Vector => LANES,
            0..=5 => LANES,
            6..=12 => EIGHT,
            _ => SIXTEEN,
        }
    }

    unsafe fn start(message: &'a mut Digest<'_>) -> Self {
        let Digest { prefix, data, digest } = message;
        let total = prefix.len() + data.as_flattened().len();
        let (hash, rest) = match data.split_first_chunk() {
            // SAFETY: the caller says that the processor has SSSE3.
            Some((first, rest)) => (Some(unsafe { first_group(prefix, first) }), rest),
            None => (None, *data),
        };
        let (groups, tail) = rest.as_chunks();
        Self { hash, prefix, total, groups, tail, digest }
    }

    fn groups(&self) -> usize {
        self.groups.len()
    }

    unsafe fn advance<const N: usize>(way: Way, lanes: [&mut Self; N], count: usize) {
        let data = lanes.each_ref().map(|lane| &lane.groups[..count]);
        let hashes = lanes.map(|lane| {
            lane.groups = &lane.groups[count..];
            lane.hash.as_mut().expect("there are groups only after a first one")
        });
        // SAFETY: the caller says that the processor has what the way is named for.
        unsafe {
            match way.0 {
                Encoding::Plain => plain::hash::<N>(hashes, data, count),
                Encoding::Avx => avx::hash::<N>(hashes, data, count),
                Encoding::Avx512 => avx512::hash::<N>(hashes, data, count),
                Encoding::Avx512Vector => avx512_vector::hash::<N>(hashes, data, count),
            }
        }
    }

    unsafe fn advance_many(_: Way, lanes: [Option<&mut Self>; SIXTEEN], count: usize) {
        let there = lanes.iter().flatten().count();
        let mut lanes = lanes.into_iter();
        // SAFETY: the caller says that the processor has AVX-512VL and AVX-512BW: no other way has as many lanes.
        unsafe {
            match there {
                ..=EIGHT => in_places(std::array::from_fn(|_| lanes.next().flatten()), count, |h, d| eight::hash(h, d, count)),
                _ => in_places(std::array::from_fn(|_| lanes.next().flatten()), count, |h, d| sixteen::hash(h, d, count)),
            }
        }
    }

    unsafe fn finish(self) {
        // SAFETY: the caller says that the processor has the features.
        *self.digest = unsafe { digest(self.hash, self.prefix, self.tail, self.total) };
    }
}

/// Takes `count` groups off each message and gives them to a kernel with a place for each. Those without a message hash the first one's
/// groups behind nothing, for nobody.
fn in_places<const N: usize>(
    lanes: [Option<&mut Hashing<'_>>; N],
    count: usize,
    kernel: impl FnOnce([&mut Hash; N], [&[Group]; N]),
) {
    let Some(first) = lanes[0].as_ref().map(|lane| &lane.groups[..count]) else { return };
    let mut idle: [_; N] = std::array::from_fn(|_| Hash { state: State::new(), next: [load(&[0; BLOCK]); 4] });
    let mut data = [first; N];
    let mut places = lanes.into_iter().zip(&mut idle).zip(&mut data);
    let hashes = std::array::from_fn(|_| match places.next() {
        Some(((Some(lane), _), data)) => {
            (*data, lane.groups) = lane.groups.split_at(count);
            lane.hash.as_mut().expect("there are groups only after a first one")
        }
        Some(((None, idle), _)) => idle,
        None => unreachable!("there are as many as places"),
    });
    drop(places);
    kernel(hashes, data);
}

/// A message that is decrypted and hashed.
struct Receiving<'a> {
    chain: Chain,
    /// `None` for one that does not fill a group.
    hash: Option<Hash>,
    prefix: &'a [u8; 32],
    total: usize,
    groups: &'a mut [Group],
    tail: &'a mut [Block],
    digest: &'a mut [u8; 32],
}

impl<'a> Lane<'a, Received<'_>> for Receiving<'a> {
    /// A lane wants seven registers, and a few more where the message schedule has no instructions of its own. Where they do not suffice,
    /// four lanes are slower than three.
    fn most(way: Way, _: usize) -> usize {
        if way.0 == Encoding::Avx512 { LANES } else { LANES - 1 }
    }

    unsafe fn start(message: &'a mut Received<'_>) -> Self {
        let Received { cipher: Cipher { key, iv, data }, prefix, digest } = message;
        let total = prefix.len() + data.as_flattened().len();
        // SAFETY: the caller says that the processor has AES.
        let mut chain = unsafe { Chain::new::<true>(key, iv) };
        let (hash, rest) = if data.len() < 2 {
            (None, &mut **data)
        } else {
            let (first, rest) = data.split_first_chunk_mut::<2>().expect("its length was looked at");
            // SAFETY: the caller says that the processor has AES and SSSE3.
            unsafe {
                chain.advance::<true>(first);
                (Some(first_group(prefix, first)), rest)
            }
        };
        let (groups, tail) = rest.as_chunks_mut();
        Self { chain, hash, prefix, total, groups, tail, digest }
    }

    fn groups(&self) -> usize {
        self.groups.len()
    }

    unsafe fn advance<const N: usize>(way: Way, lanes: [&mut Self; N], count: usize) {
        let mut lanes = lanes.map(|lane| {
            let hash = lane.hash.as_mut().expect("there are groups only after a first one");
            (Some(&mut lane.chain), Some(hash), take(&mut lane.groups, count))
        });
        let data = lanes.each_mut().map(|(.., data)| std::mem::take(data));
        let hashes = lanes.each_mut().map(|(_, hash, _)| hash.take().expect("it was put there just now"));
        let chains = lanes.map(|(chain, ..)| chain.expect("it was put there just now"));
        // SAFETY: the caller says that the processor has what the way is named for.
        unsafe {
            match way.0 {
                Encoding::Plain => plain::receive::<N>(chains, hashes, data, count),
                Encoding::Avx => avx::receive::<N>(chains, hashes, data, count),
                Encoding::Avx512 => avx512::receive::<N>(chains, hashes, data, count),
                Encoding::Avx512Vector => ahead::receive::<N>(chains, hashes, data, count),
            }
        }
    }

    unsafe fn finish(mut self) {
        // SAFETY: the caller says that the processor has the features.
        unsafe {
            self.chain.advance::<true>(self.tail);
            *self.digest = digest(self.hash, self.prefix, self.tail, self.total);
        }
    }
}

/// Takes the first `count` groups off.
fn take<'a>(groups: &mut &'a mut [Group], count: usize) -> &'a mut [Group] {
    groups.split_off_mut(..count).unwrap_or_default()
}
