//! What each check of the key exchange demands, in words.

use tdl_core::check::Check;

/// What a check demands of the server. Checks that a client does not make have no words of their own.
pub(super) const fn of(check: Check) -> &'static str {
    match check {
        Check::NonceInResPq => "resPQ carries our nonce",
        Check::PqLength => "pq has at most 8 bytes",
        Check::PqSize => "pq is not over 2^63 - 1",
        Check::PqFactorsPrime => "pq is the product of two different primes",
        Check::PqOdd => "both factors are odd",
        Check::KeyOffered => "the server offers a key that we trust",
        Check::NonceInServerDhParams => "server_DH_params carries our nonce",
        Check::ServerNonceInServerDhParams => "server_DH_params carries the server's nonce",
        Check::DhParamsFailHash => "server_DH_params_fail shows that the server knows new_nonce",
        Check::SealedMost => "the encrypted part is not too long",
        Check::SealedLeast => "the encrypted part is long enough for what has to be in it",
        Check::SealedBlocks => "the encrypted part is whole AES blocks",
        Check::SealedHash => "the SHA-1 in front of the message is that of the message",
        Check::SealedPadding => "at most 15 bytes of padding follow the message",
        Check::NonceInServerDhInner => "server_DH_inner_data carries our nonce",
        Check::ServerNonceInServerDhInner => "server_DH_inner_data carries the server's nonce",
        Check::DhPrimeSize => "dh_prime has 2048 bits",
        Check::DhGeneratorRange => "g is one of 2 to 7",
        Check::DhGeneratorResidue => "g is a quadratic residue modulo dh_prime",
        Check::DhPrimePrime => "dh_prime is prime",
        Check::DhPrimeSafe => "(dh_prime - 1) / 2 is prime: dh_prime is safe",
        Check::DhPublicRange => "1 < g_a < dh_prime - 1",
        Check::DhPublicLeast => "g_a is not below 2^1984",
        Check::DhPublicMost => "g_a is not above dh_prime - 2^1984",
        Check::NonceInDhGen => "dh_gen carries our nonce",
        Check::ServerNonceInDhGen => "dh_gen carries the server's nonce",
        Check::NewNonceHash1 => "new_nonce_hash1 shows that the server has the same key",
        Check::NewNonceHash2 => "new_nonce_hash2 shows that the server has the same key",
        Check::NewNonceHash3 => "new_nonce_hash3 shows that the server has the same key",
        Check::RetriesEnd => "the server does not ask for another g_b for ever",
        other => other.variant(),
    }
}
