//! RSA keys in PEM, as `cluster.json` and the command line bring them. Input: the text.

use tdl::crypto::rsa::{PrivateKey, PublicKey};

use super::Seed;
use super::exchange::SERVER_KEY;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::from_pem(text) {
        let again = PublicKey::from_pem(&key.to_pem()).expect("ours");
        assert_eq!(again.fingerprint(), key.fingerprint());
    }
    if let Ok(key) = PrivateKey::from_pem(text) {
        let again = PrivateKey::from_pem(&key.to_pem()).expect("ours");
        assert_eq!(again.public().fingerprint(), key.public().fingerprint());
    }
}

pub fn seeds() -> Vec<Seed> {
    vec![("public".into(), SERVER_KEY.public().to_pem().into_bytes()), ("no-pem".into(), b"-----BEGIN NOTHING-----\n".to_vec())]
}
