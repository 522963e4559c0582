//! What the crypto floor costs: `cargo bench --no-default-features --bench crypto`.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tdl::crypto::kdf::Side;
use tdl::crypto::{AuthKey, aes, constant_time_eq, dh, hash, kdf, pq, rsa};

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

/// Runs `work` on one buffer over and over: the ciphers' time does not depend on what they encrypt.
fn on_buffer(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut work: impl FnMut(&mut [u8])) {
    for (size, len) in SIZES {
        let mut data = vec![0; len];
        rng().fill_bytes(&mut data);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{name}/{size}"), |b| b.iter(|| work(black_box(&mut data))));
    }
}

fn ciphers(c: &mut Criterion) {
    let mut group = c.benchmark_group("aes256");
    let (key, iv, counter) = (random(), random(), random());
    on_buffer(&mut group, "ige encrypt", |data| aes::ige_encrypt(&key, &iv, data).unwrap_or_default());
    on_buffer(&mut group, "ige decrypt", |data| aes::ige_decrypt(&key, &iv, data).unwrap_or_default());
    let mut ctr = aes::Ctr::new(&key, &counter);
    on_buffer(&mut group, "ctr", |data| ctr.apply(data));
    group.finish();
}

fn hashes(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    on_buffer(&mut group, "sha256", |data| {
        black_box(hash::sha256(&[data]));
    });
    on_buffer(&mut group, "sha1", |data| {
        black_box(hash::sha1(&[data]));
    });
    group.finish();
}

/// What every message costs: keys out of the message key, the cipher, the message key again and its comparison.
fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("message");
    let auth_key = AuthKey::from_bytes(&random());
    on_buffer(&mut group, "send", |data| {
        let msg_key = kdf::msg_key_v2(&auth_key, Side::Client, data);
        kdf::aes_v2(&auth_key, &msg_key, Side::Client).encrypt(data).unwrap_or_default();
        black_box(msg_key);
    });
    let msg_key = random();
    on_buffer(&mut group, "receive", |data| {
        kdf::aes_v2(&auth_key, &msg_key, Side::Server).decrypt(data).unwrap_or_default();
        let found = kdf::msg_key_v2(&auth_key, Side::Server, data);
        black_box(constant_time_eq(&found, &msg_key));
    });
    group.finish();
}

/// The steps of a key exchange that are felt.
fn key_exchange(c: &mut Criterion) {
    let mut group = c.benchmark_group("key exchange");
    group.measurement_time(Duration::from_secs(5));

    let mut rng = rng();
    let products: Vec<u64> = (0..64).map(|_| pq::random_pq(&mut rng).0).collect();
    let mut next = products.iter().cycle();
    group.bench_function("factorize", |b| b.iter(|| pq::factorize(black_box(*next.next().unwrap_or(&15)))));

    let dh_group = dh::Group::known();
    let secret = random();
    let Ok(public) = dh_group.check_public(&dh_group.public(&secret)) else { return };
    group.bench_function("check known group", |b| b.iter(|| dh::Group::check(3, black_box(&dh::KNOWN_PRIME))));
    group.bench_function("check public value", |b| b.iter(|| dh_group.check_public(black_box(public.as_bytes()))));
    group.bench_function("dh power", |b| b.iter(|| dh_group.shared(black_box(&public), &secret)));

    let key = rsa::PrivateKey::generate(&mut rng);
    let data = random::<144>();
    group.bench_function("rsa_pad encrypt", |b| b.iter(|| key.public().encrypt_pad(black_box(&data), &mut rng)));
    let Ok(encrypted) = key.public().encrypt_pad(&data, &mut rng) else { return };
    group.bench_function("rsa_pad decrypt", |b| b.iter(|| key.decrypt_pad(black_box(&encrypted))));
    group.finish();
}

/// What happens once in a while, if ever.
fn rare(c: &mut Criterion) {
    let mut group = c.benchmark_group("rare");
    group.sample_size(10);
    let prime = rfc3526_prime();
    group.bench_function("check unknown group", |b| b.iter(|| dh::Group::check(2, black_box(&prime))));
    let mut seed = 0;
    let mut next_rng = || {
        seed += 1;
        StdRng::from_seed([seed; 32])
    };
    group.bench_function("generate rsa key", |b| {
        b.iter_batched_ref(&mut next_rng, |rng| rsa::PrivateKey::generate(rng), BatchSize::PerIteration);
    });
    group.finish();
}

/// RFC 3526, group 14: a safe prime that the library does not know.
fn rfc3526_prime() -> Vec<u8> {
    hex::decode(concat!(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd",
        "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
        "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f",
        "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b",
        "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510",
        "15728e5a8aacaa68ffffffffffffffff",
    ))
    .unwrap_or_default()
}

criterion_group!(benches, ciphers, hashes, messages, key_exchange, rare);
criterion_main!(benches);
