//! What can go wrong in the key exchange: one variant for each rule, by whose fault it is.

use std::fmt;

use crate::{crypto::dh::DhError, ids::DcId, mtproto::plain, tl::wire};

use super::{MAX_RETRIES, Nonce};

/// Why a key exchange ended without a key. Nothing of it can be used further: to try again is to start again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule of the exchange, or someone on the way altered its message.
    #[error("key exchange: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The peer kept the rules, but the two sides have nothing in common.
    #[error("key exchange: {0}")]
    PeerIncompatible(#[from] PeerIncompatible),
    /// What arrived is not a message that can stand here.
    #[error("key exchange: {0}")]
    InvalidMessage(#[from] InvalidMessage),
    /// The peer, or we, ended the exchange in the way the protocol has for it.
    #[error("key exchange: {0}")]
    Refused(#[from] Refused),
}

impl Error {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::PeerMisbehaved(error) => error.rule(),
            Self::PeerIncompatible(error) => error.rule(),
            Self::InvalidMessage(error) => error.rule(),
            Self::Refused(error) => error.rule(),
        }
    }

    /// The transport error with which a server answers, as the number on the wire: it says nothing about which rule was broken, as the
    /// exchange demands, but for a client at the wrong kind of data centre.
    pub fn transport_code(&self) -> i32 {
        match self {
            Self::PeerIncompatible(PeerIncompatible::WrongDc { .. }) => -444,
            Self::PeerIncompatible(PeerIncompatible::UnknownFingerprint { .. } | PeerIncompatible::NoCommonKey { .. })
            | Self::PeerMisbehaved(_)
            | Self::InvalidMessage(_)
            | Self::Refused(_) => -404,
        }
    }
}

/// A rule of the exchange that the peer broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The client's nonce is not that of this run.
    #[error("{message} carries nonce {found}, this exchange has {expected}")]
    NonceMismatch {
        /// The message it stood in.
        message: Message,
        /// The nonce found.
        found: Nonce,
        /// The nonce of this run.
        expected: Nonce,
    },
    /// The server's nonce is not that of this run.
    #[error("{message} carries server_nonce {found}, this exchange has {expected}")]
    ServerNonceMismatch {
        /// The message it stood in.
        message: Message,
        /// The nonce found.
        found: Nonce,
        /// The nonce of this run.
        expected: Nonce,
    },

    /// `pq` has more than 8 bytes.
    #[error("pq has {len} bytes, at most 8 are allowed")]
    PqTooLong {
        /// Bytes of `pq`.
        len: usize,
    },
    /// `pq` is over 2⁶³ - 1.
    #[error("pq {pq} is over 2^63 - 1")]
    PqTooLarge {
        /// The number found.
        pq: u64,
    },
    /// `pq` is not the product of two different odd primes.
    #[error("pq {pq} is not the product of two different odd primes")]
    PqNotTwoOddPrimes {
        /// The number found.
        pq: u64,
    },

    /// `server_DH_params_fail` does not prove that it comes from whoever knows the new nonce.
    #[error("server_DH_params_fail does not carry the hash of the new nonce")]
    DhParamsFailHashMismatch,
    /// `dh_gen_ok` does not prove that the server has the same key.
    #[error("dh_gen_ok does not carry new_nonce_hash1")]
    NewNonceHash1Mismatch,
    /// `dh_gen_retry` does not prove that the server has the same key.
    #[error("dh_gen_retry does not carry new_nonce_hash2")]
    NewNonceHash2Mismatch,
    /// `dh_gen_fail` does not prove that the server has the same key.
    #[error("dh_gen_fail does not carry new_nonce_hash3")]
    NewNonceHash3Mismatch,

    /// The encrypted part is no multiple of the cipher's block.
    #[error("encrypted part around {message} has {len} bytes, not a multiple of 16")]
    EncryptedNotBlockAligned {
        /// The message inside.
        message: Message,
        /// Bytes of the encrypted part.
        len: usize,
    },
    /// The encrypted part cannot hold the hash and the message.
    #[error("encrypted part around {message} has {len} bytes, the least possible is {min}")]
    EncryptedTooShort {
        /// The message inside.
        message: Message,
        /// Bytes of the encrypted part.
        len: usize,
        /// The least that can hold the message.
        min: usize,
    },
    /// The encrypted part is longer than any valid one.
    #[error("encrypted part around {message} has {len} bytes, at most {max} are allowed")]
    EncryptedTooLong {
        /// The message inside.
        message: Message,
        /// Bytes of the encrypted part.
        len: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The SHA-1 before the message is not that of the message.
    #[error("SHA-1 in front of {message} is not that of the message")]
    InnerHashMismatch {
        /// The message inside.
        message: Message,
    },
    /// More padding follows the message than the cipher needs.
    #[error("{len} bytes of padding follow {message}, at most 15 are allowed")]
    InnerPaddingTooLong {
        /// The message inside.
        message: Message,
        /// Bytes of padding.
        len: usize,
    },

    /// The Diffie–Hellman group is not one to use: `dh_prime` is no 2048-bit safe prime, or `g` generates no large subgroup.
    #[error("Diffie-Hellman group: {0}")]
    BadGroup(DhError),
    /// The peer's public value (`g_a` or `g_b`) is outside the safe range.
    #[error("{name}: {error}")]
    BadPublicValue {
        /// `"g_a"` or `"g_b"`.
        name: &'static str,
        /// What is wrong with it.
        error: DhError,
    },

    /// `p` and `q` in `req_DH_params` are not the factors of `pq`, `p` first, without leading zeros.
    #[error("req_DH_params does not carry the factors of pq")]
    FactorsMismatch,
    /// `encrypted_data` of `req_DH_params` is not one RSA block.
    #[error("encrypted_data of req_DH_params has {len} bytes, an RSA block has 256")]
    RsaBlockLength {
        /// Bytes found.
        len: usize,
    },
    /// `encrypted_data` of `req_DH_params` is not what RSA_PAD makes.
    #[error("encrypted_data of req_DH_params is not padded as RSA_PAD demands")]
    RsaPadInvalid,
    /// `encrypted_data` of `req_DH_params` was encrypted in the way of before 2021, and its hash is not that of the data.
    #[error("the hash in encrypted_data of req_DH_params is not that of the data")]
    LegacyRsaHashMismatch,
    /// `pq` in the encrypted part of `req_DH_params` is not what was sent.
    #[error("p_q_inner_data carries another pq than was sent")]
    InnerPqMismatch,
    /// `p` and `q` in the encrypted part of `req_DH_params` are not the factors.
    #[error("p_q_inner_data does not carry the factors of pq")]
    InnerFactorsMismatch,
    /// The lifetime asked for a temporary key is not positive.
    #[error("p_q_inner_data asks for a key of {found} seconds")]
    ExpiresInNotPositive {
        /// The seconds found.
        found: i32,
    },
    /// `retry_id` is not 0 at the first attempt, or not the hash of the key that the last attempt made.
    #[error("client_DH_inner_data has retry_id {found:#018x}, expected {expected:#018x}")]
    RetryIdMismatch {
        /// The value found.
        found: i64,
        /// The value expected.
        expected: i64,
    },
    /// The client began the exchange anew more often than one connection needs.
    #[error("client began the exchange {count} times")]
    TooManyRestarts {
        /// How often it began.
        count: u32,
    },
}

impl PeerMisbehaved {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NonceMismatch { .. } => "NonceMismatch",
            Self::ServerNonceMismatch { .. } => "ServerNonceMismatch",
            Self::PqTooLong { .. } => "PqTooLong",
            Self::PqTooLarge { .. } => "PqTooLarge",
            Self::PqNotTwoOddPrimes { .. } => "PqNotTwoOddPrimes",
            Self::DhParamsFailHashMismatch => "DhParamsFailHashMismatch",
            Self::NewNonceHash1Mismatch => "NewNonceHash1Mismatch",
            Self::NewNonceHash2Mismatch => "NewNonceHash2Mismatch",
            Self::NewNonceHash3Mismatch => "NewNonceHash3Mismatch",
            Self::EncryptedNotBlockAligned { .. } => "EncryptedNotBlockAligned",
            Self::EncryptedTooShort { .. } => "EncryptedTooShort",
            Self::EncryptedTooLong { .. } => "EncryptedTooLong",
            Self::InnerHashMismatch { .. } => "InnerHashMismatch",
            Self::InnerPaddingTooLong { .. } => "InnerPaddingTooLong",
            Self::BadGroup(_) => "BadGroup",
            Self::BadPublicValue { .. } => "BadPublicValue",
            Self::FactorsMismatch => "FactorsMismatch",
            Self::RsaBlockLength { .. } => "RsaBlockLength",
            Self::RsaPadInvalid => "RsaPadInvalid",
            Self::LegacyRsaHashMismatch => "LegacyRsaHashMismatch",
            Self::InnerPqMismatch => "InnerPqMismatch",
            Self::InnerFactorsMismatch => "InnerFactorsMismatch",
            Self::ExpiresInNotPositive { .. } => "ExpiresInNotPositive",
            Self::RetryIdMismatch { .. } => "RetryIdMismatch",
            Self::TooManyRestarts { .. } => "TooManyRestarts",
        }
    }
}

/// The two sides have nothing in common.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerIncompatible {
    /// The server offers no key that we trust.
    #[error("server offers no public key that we know (fingerprints {})", fingerprints(offered))]
    NoCommonKey {
        /// The fingerprints offered.
        offered: Vec<i64>,
    },
    /// The client encrypted for a key that is not ours.
    #[error("client encrypted for key {found:#018x}, which is not ours")]
    UnknownFingerprint {
        /// The fingerprint found.
        found: i64,
    },
    /// The client means to talk to another data centre.
    #[error("client means to talk to {found}, this is {expected}")]
    WrongDc {
        /// The data centre it names.
        found: DcId,
        /// Ours.
        expected: DcId,
    },
}

fn fingerprints(list: &[i64]) -> String {
    let shown: Vec<_> = list.iter().take(16).map(|fingerprint| format!("{fingerprint:#018x}")).collect();
    if shown.is_empty() { "none".into() } else { shown.join(", ") }
}

impl PeerIncompatible {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NoCommonKey { .. } => "NoCommonKey",
            Self::UnknownFingerprint { .. } => "UnknownFingerprint",
            Self::WrongDc { .. } => "WrongDc",
        }
    }
}

/// What arrived is not a message that can stand here.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The frame is no unencrypted message.
    #[error(transparent)]
    Plain(#[from] plain::Error),
    /// The body is not the TL object expected.
    #[error("{expected}: {error}")]
    Decode {
        /// The message expected.
        expected: Message,
        /// What is wrong with the bytes.
        error: wire::Error,
    },
}

impl InvalidMessage {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Plain(error) => error.rule(),
            Self::Decode { .. } => "Decode",
        }
    }
}

/// The exchange was ended in the way the protocol has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The server answered `server_DH_params_fail`, and proved that it was the server.
    #[error("server refused the request for Diffie-Hellman parameters")]
    DhParams,
    /// The server answered `dh_gen_fail`, and proved that it has the same key.
    #[error("server refused the key")]
    DhGen,
    /// One key after the other was not to the server's liking.
    #[error("no usable key after {MAX_RETRIES} retries")]
    TooManyRetries,
}

impl Refused {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::DhParams => "DhParams",
            Self::DhGen => "DhGen",
            Self::TooManyRetries => "TooManyRetries",
        }
    }
}

/// A message of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// `req_pq_multi` (or `req_pq`), client to server.
    ReqPq,
    /// `resPQ`, server to client.
    ResPq,
    /// `req_DH_params`, client to server.
    ReqDhParams,
    /// `p_q_inner_data` and its variants, in the RSA block of `req_DH_params`.
    PqInnerData,
    /// `server_DH_params_ok` or `server_DH_params_fail`, server to client.
    ServerDhParams,
    /// `server_DH_inner_data`, in the encrypted part of `server_DH_params_ok`.
    ServerDhInnerData,
    /// `set_client_DH_params`, client to server.
    SetClientDhParams,
    /// `client_DH_inner_data`, in the encrypted part of `set_client_DH_params`.
    ClientDhInnerData,
    /// `dh_gen_ok`, `dh_gen_retry` or `dh_gen_fail`, server to client.
    DhGen,
}

impl Message {
    /// The TL name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReqPq => "req_pq_multi",
            Self::ResPq => "resPQ",
            Self::ReqDhParams => "req_DH_params",
            Self::PqInnerData => "p_q_inner_data",
            Self::ServerDhParams => "server_DH_params",
            Self::ServerDhInnerData => "server_DH_inner_data",
            Self::SetClientDhParams => "set_client_DH_params",
            Self::ClientDhInnerData => "client_DH_inner_data",
            Self::DhGen => "dh_gen",
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
