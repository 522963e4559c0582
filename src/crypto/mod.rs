//! Ciphers, hashes, key derivation and number theory of MTProto: pure functions.
