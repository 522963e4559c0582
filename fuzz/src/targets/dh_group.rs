//! The group and the public values of a key exchange. Input: the generator, then the changes to make to the known prime (two bytes
//! where, one byte what), or, after a generator with its top bit set, the prime itself.

use tdl::crypto::dh::{Group, KNOWN_PRIME, LEN};

use super::Seed;
use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let generator = input.byte();
    let prime = if generator & 0x80 == 0 {
        let mut prime = KNOWN_PRIME;
        while !input.is_empty() {
            let at = usize::from(input.u16()) % LEN;
            prime[at] ^= input.byte();
        }
        prime.to_vec()
    } else {
        input.rest().to_vec()
    };
    if let Ok(group) = Group::check(i32::from(generator & 0x7f), &prime) {
        assert!((2..=7).contains(&group.g()));
        assert_eq!(group.prime()[..], prime[..]);
    }
    // The same bytes as somebody's public value.
    if let Ok(public) = Group::known().check_public(&prime) {
        assert!(public.as_bytes() < &KNOWN_PRIME);
    }
}

pub fn seeds() -> Vec<Seed> {
    vec![
        ("known".into(), vec![3]),
        ("wrong-generator".into(), vec![2]),
        ("not-prime".into(), vec![3, 250, 0, 4]),
        ("even".into(), vec![3, 255, 0, 1]),
        ("small".into(), vec![3, 0, 0, 0x80]),
        ("short".into(), [&[0x83][..], &[0xff; 255]].concat()),
        ("one".into(), [&[0x83][..], &[0; 255], &[1]].concat()),
    ]
}
