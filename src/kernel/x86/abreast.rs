//! The hash of as many messages at once as a register has places for words, by ordinary vector instructions of AVX-512: each message has one
//! of the places.
//!
//! It needs no instruction for SHA. On Intel's processors two rounds by those take three cycles of one port, whichever lane they are for, so
//! that lanes side by side gain little; here eight messages take as long as less than four there. FIPS 180-4, section 6.2.2.
//!
//! The width is a matter of names: a module that imports the instructions of one under those that are used here, and says [`abreast!`], has
//! the kernel for it.

/// "Choose", as a table of its eight cases: the second where the first has a one, else the third.
pub(super) const CHOOSE: i32 = 0xca;
/// "Majority", likewise.
pub(super) const MAJORITY: i32 = 0xe8;

/// The kernel for `$count` messages, whose words are `$words`.
macro_rules! abreast {
    ($count:ident, $words:ty, $features:literal) => {
        use super::abreast::{CHOOSE, MAJORITY};
        use super::bytes::{numbers, of_numbers};
        use super::lanes::Hash;
        use super::sha::{Group, K, State, XOR};

        /// One word of each message.
        pub(super) type Words = $words;

        /// The word that is made of the sixteen before it, in the place of the oldest of them: `AT` is its number modulo 16.
        #[inline]
        #[target_feature(enable = $features)]
        pub(super) fn word<const AT: usize>(words: &mut [Words; 16]) {
            let (w15, w2) = (words[(AT + 1) % 16], words[(AT + 14) % 16]);
            let small = logic::<XOR>(rotate::<7>(w15), rotate::<18>(w15), shift::<3>(w15));
            let large = logic::<XOR>(rotate::<17>(w2), rotate::<19>(w2), shift::<10>(w2));
            words[AT] = sum!(words[AT], words[(AT + 9) % 16], small, large);
        }

        /// One round, of which `at` is the number modulo 16: in it the letter that is `n`-th of eight is in place `n - at`.
        #[inline]
        #[target_feature(enable = $features)]
        fn round<const AT: usize, const FIRST: bool>(state: &mut [Words; 8], words: &mut [Words; 16], constants: &[u32; 16]) {
            if !FIRST {
                word::<AT>(words);
            }
            let place = |letter: usize| (letter + 16 - AT) % 8;
            let [a, b, c, e, f, g] = [0, 1, 2, 4, 5, 6].map(|letter| state[place(letter)]);
            let large = logic::<XOR>(rotate::<6>(e), rotate::<11>(e), rotate::<25>(e));
            let constant = everywhere(constants[AT].cast_signed());
            let t1 = sum!(add(state[place(7)], add(words[AT], constant)), logic::<CHOOSE>(e, f, g), large);
            let large = logic::<XOR>(rotate::<2>(a), rotate::<13>(a), rotate::<22>(a));
            let t2 = add(large, logic::<MAJORITY>(a, b, c));
            state[place(3)] = add(state[place(3)], t1);
            state[place(7)] = add(t1, t2);
        }

        /// Sixteen rounds, after which the letters are in their places again.
        #[inline]
        #[target_feature(enable = $features)]
        fn sixteen<const FIRST: bool>(state: &mut [Words; 8], words: &mut [Words; 16], constants: &[u32; 16]) {
            rounds!(FIRST, state, words, constants, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        }

        /// Hashes `count` groups of each message, as `lanes` does: each one's waiting block and all but the last of these, which waits then.
        #[target_feature(enable = $features)]
        pub(super) fn hash(hashes: [&mut Hash; $count], data: [&[Group]; $count], count: usize) {
            let (constants, []) = K.0.as_flattened().as_chunks() else { unreachable!("64 are four times sixteen") };
            let Some(first) = data[0].first() else { return };
            let mut groups = [first; $count];
            let mut words = [zero(); 16];
            let mut state = [zero(); 8];
            for (at, words) in words.iter_mut().enumerate() {
                *words = gathered(hashes.each_ref().map(|hash| numbers(hash.next[at / 4])[at % 4]));
            }
            for (letter, state) in state.iter_mut().enumerate() {
                *state = gathered(hashes.each_ref().map(|hash| hash.state.letters()[letter]));
            }
            for at in 0..count {
                let before = state;
                sixteen::<true>(&mut state, &mut words, &constants[0]);
                for constants in &constants[1..] {
                    sixteen::<false>(&mut state, &mut words, constants);
                }
                for (state, before) in state.iter_mut().zip(before) {
                    *state = add(*state, before);
                }
                // A loop: of so many, `map` would be a call for each.
                for (group, data) in groups.iter_mut().zip(&data) {
                    *group = &data[at];
                }
                words = words_of(groups);
            }
            let (state, words) = (state.map(|letter| scattered(letter)), words.map(|words| scattered(words)));
            for (n, hash) in hashes.into_iter().enumerate() {
                hash.state = State::of_letters(state.each_ref().map(|letter| letter[n]));
                for (at, next) in hash.next.iter_mut().enumerate() {
                    *next = of_numbers([0, 1, 2, 3].map(|word| words[4 * at + word][n]));
                }
            }
        }
    };
}

/// Sum of all that go in.
macro_rules! sum {
    ($first:expr $(, $more:expr)+) => {{
        let sum = $first;
        $(let sum = add(sum, $more);)+
        sum
    }};
}

/// A round for each number.
macro_rules! rounds {
    ($first:ident, $state:ident, $words:ident, $constants:ident, [$($at:literal),+]) => {
        $(round::<$at, $first>($state, $words, $constants);)+
    };
}

pub(super) use {abreast, rounds, sum};
