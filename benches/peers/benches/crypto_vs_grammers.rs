//! The crypto floor beside `grammers-crypto`, the same work in one run: `cargo bench --bench crypto_vs_grammers`.
//!
//! Both sit on the `aes` and `sha2` crates, so what differs is what is around them.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use grammers_crypto as grammers;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tdl::crypto::kdf::{self, Side};
use tdl::crypto::{AuthKey, aes, constant_time_eq, pq, rsa};

/// A large file part, and a short message.
const SIZES: [(&str, usize); 2] = [("512 KiB", 512 << 10), ("1 KiB", 1 << 10)];

fn rng() -> StdRng {
    StdRng::from_seed([42; 32])
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    bytes
}

fn ige(c: &mut Criterion) {
    let (key, iv) = (random(), random());
    let (mut ours, mut theirs) = (random::<1024>(), random::<1024>());
    aes::ige_encrypt(&key, &iv, &mut ours).expect("whole blocks");
    grammers::aes::ige_encrypt(&mut theirs, &key, &iv);
    assert_eq!(ours, theirs);

    for (size, len) in SIZES {
        let mut data = vec![0; len];
        rng().fill_bytes(&mut data);
        let mut group = c.benchmark_group(format!("ige encrypt {size}"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function("tdl", |b| b.iter(|| aes::ige_encrypt(&key, &iv, black_box(&mut data))));
        group.bench_function("grammers", |b| b.iter(|| grammers::aes::ige_encrypt(black_box(&mut data), &key, &iv)));
        group.finish();
        let mut group = c.benchmark_group(format!("ige decrypt {size}"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function("tdl", |b| b.iter(|| aes::ige_decrypt(&key, &iv, black_box(&mut data))));
        group.bench_function("grammers", |b| b.iter(|| grammers::aes::ige_decrypt(black_box(&mut data), &key, &iv)));
        group.finish();
    }
}

/// From an encrypted packet to its checked plaintext, in place: key identifier, keys, cipher, message key. Each run gets a fresh copy of
/// the packet; the copy is not measured.
fn receive(c: &mut Criterion) {
    let bytes = random();
    let key = AuthKey::from_bytes(&bytes);
    let their_key = grammers::AuthKey::from_bytes(bytes);

    for (size, len) in SIZES {
        let packet = packet(&key, len);
        let mut copy = packet.clone();
        assert_eq!(open(&key, &mut copy).map(<[u8]>::len), Some(len));
        let mut copy = packet.clone();
        assert_eq!(grammers::decrypt_data_v2(&mut copy, &their_key).map(|plain| plain.len()).ok(), Some(len));

        let mut group = c.benchmark_group(format!("receive {size}"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function("tdl", |b| {
            b.iter_batched_ref(|| packet.clone(), |packet| open(&key, packet).is_some(), BatchSize::LargeInput);
        });
        group.bench_function("grammers", |b| {
            b.iter_batched_ref(
                || packet.clone(),
                |packet| grammers::decrypt_data_v2(packet, &their_key).is_ok(),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

/// A packet from a server.
fn packet(key: &AuthKey, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    rng().fill_bytes(&mut data);
    let msg_key = kdf::msg_key_v2(key, Side::Server, &data);
    kdf::aes_v2(key, &msg_key, Side::Server).encrypt(&mut data).expect("whole blocks");
    [&key.id().to_le_bytes()[..], &msg_key, &data].concat()
}

/// What `grammers` does in `decrypt_data_v2`, and no more.
fn open<'a>(key: &AuthKey, packet: &'a mut [u8]) -> Option<&'a [u8]> {
    let (id, rest) = packet.split_first_chunk_mut::<8>()?;
    let (msg_key, data) = rest.split_first_chunk_mut::<16>()?;
    if *id != key.id().to_le_bytes() {
        return None;
    }
    kdf::aes_v2(key, msg_key, Side::Server).decrypt(data).ok()?;
    constant_time_eq(&kdf::msg_key_v2(key, Side::Server, data), msg_key).then_some(data)
}

/// The same products for both, one after the other, so that no lucky one decides.
fn factorize(c: &mut Criterion) {
    let mut rng = rng();
    let products: Vec<u64> = (0..64).map(|_| pq::random_pq(&mut rng).0).collect();
    for &product in &products {
        assert_eq!(pq::factorize(product), Some(grammers::factorize(product)));
    }
    let mut group = c.benchmark_group("factorize");
    let mut next = products.iter().cycle();
    group.bench_function("tdl", |b| b.iter(|| pq::factorize(black_box(*next.next().expect("endless")))));
    let mut next = products.iter().cycle();
    group.bench_function("grammers", |b| b.iter(|| grammers::factorize(black_box(*next.next().expect("endless")))));
    group.finish();
}

fn rsa_pad(c: &mut Criterion) {
    let mut rng = rng();
    let key = rsa::PrivateKey::generate(&mut rng);
    let decimal = decimal(&key.public().modulus());
    let their_key = grammers::rsa::Key::new(&decimal, "65537").expect("decimal numbers");
    let (data, random_bytes) = (random::<144>(), random::<224>());
    let theirs = grammers::rsa::encrypt_hashed(&data, &their_key, &random_bytes);
    let plain = key.decrypt_pad(&theirs.try_into().expect("256 bytes")).expect("what they encrypt opens here");
    assert_eq!(plain[..144], data);

    let mut group = c.benchmark_group("rsa_pad");
    group.bench_function("tdl", |b| b.iter(|| key.public().encrypt_pad(black_box(&data), &mut rng)));
    group.bench_function("grammers", |b| {
        b.iter(|| grammers::rsa::encrypt_hashed(black_box(&data), &their_key, &random_bytes));
    });
    group.finish();
}

/// A big-endian number in decimal, by schoolbook division.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = Vec::new();
    let mut number = bytes.to_vec();
    while number.iter().any(|&byte| byte != 0) {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let value = remainder << 8 | u16::from(*byte);
            *byte = (value / 10) as u8;
            remainder = value % 10;
        }
        digits.push(b'0' + remainder as u8);
    }
    digits.into_iter().rev().map(char::from).collect()
}

criterion_group!(benches, ige, receive, factorize, rsa_pad);
criterion_main!(benches);
