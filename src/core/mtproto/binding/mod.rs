//! The binding message: what ties a temporary key to the permanent one.
//!
//! It is the one message that is still encrypted as MTProto 1.0, under the *permanent* key, and travels as a byte string inside
//! `auth.bindTempAuthKey`, which is an ordinary request under the *temporary* key. So the server sees that whoever has the one has the
//! other.
//!
//! ```text
//! perm_auth_key_id:int64 | msg_key:int128 | AES-256-IGE( random:int128 | msg_id:int64 | seq_no:int32 = 0 | length:int32 = 40 |
//!                                                        bind_auth_key_inner, 40 bytes | padding, 8 random bytes )
//! ```
//!
//! `msg_key` is the SHA-1 of what precedes the padding; `msg_id` is that of the request which carries the message. See "Perfect Forward
//! Secrecy" and the method's page, "Generating encrypted_message".
//!
//! [`seal`] is the client's part, [`check`] the server's. As with the envelope, nothing of the decrypted bytes is looked at before the
//! message key has proved them.

use bytes::Bytes;
use rand::Rng;
use zeroize::Zeroizing;

use crate::{
    crypto::{
        AuthKey, constant_time_eq,
        kdf::{self, Side},
    },
    ids::{MsgId, SessionId},
    tl::{Identifiable, Reader, Serialize, mtproto::types::BindAuthKeyInner},
};

#[cfg(test)]
mod tests;

/// Bytes of a binding message, key identifier and message key included.
pub const LEN: usize = HEADER_LEN + PADDED_LEN;

/// Bytes before the encrypted part: key identifier and message key.
const HEADER_LEN: usize = 24;
/// Bytes under the message key: random bytes, identifier, sequence number, length, object.
const SIGNED_LEN: usize = 16 + 8 + 4 + 4 + INNER_LEN as usize;
/// The same, in whole blocks of the cipher.
const PADDED_LEN: usize = SIGNED_LEN.next_multiple_of(16);
/// Bytes of `bind_auth_key_inner`, with its constructor.
const INNER_LEN: i32 = 40;

/// What a binding message says, and what the request around it says too. The two must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The identifier of the request that carries the message.
    pub msg_id: MsgId,
    /// Drawn at random by the client.
    pub nonce: i64,
    /// The key to be bound: the one that the request is encrypted with.
    pub temp_auth_key_id: i64,
    /// The key to bind it to.
    pub perm_auth_key_id: i64,
    /// The session of the request.
    pub session_id: SessionId,
    /// When the temporary key ends, in Unix time by the server's clock.
    pub expires_at: i32,
}

/// Why a server does not accept a binding message: one variant for each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// The message does not have the one length that it can have.
    #[error("binding message of {len} bytes, expected {LEN}")]
    WrongLength {
        /// Bytes found.
        len: usize,
    },
    /// The message is encrypted with another key than the request names.
    #[error("binding message is encrypted with key {found:#018x}, the request names {expected:#018x}")]
    KeyIdMismatch {
        /// The identifier in front of the message.
        found: i64,
        /// The identifier in the request.
        expected: i64,
    },
    /// The message key is not that of the decrypted bytes: the sender does not have the permanent key, or the message was altered.
    #[error("message key does not match the decrypted binding message")]
    MsgKeyMismatch,
    /// The message was made for another request.
    #[error("binding message has identifier {found}, the request has {expected}")]
    MsgIdMismatch {
        /// Inside.
        found: MsgId,
        /// The request's.
        expected: MsgId,
    },
    /// The sequence number is not zero.
    #[error("binding message has sequence number {found}, expected 0")]
    SeqNoNotZero {
        /// The number found.
        found: i32,
    },
    /// The declared length is not that of the object.
    #[error("binding message declares {found} bytes, expected {INNER_LEN}")]
    WrongInnerLength {
        /// The length found.
        found: i32,
    },
    /// The object is another one.
    #[error("binding message holds constructor {found:#010x}, expected bind_auth_key_inner")]
    WrongConstructor {
        /// The constructor found.
        found: u32,
    },
    /// The nonce is not the one in the request.
    #[error("binding message and request have different nonces")]
    NonceMismatch,
    /// The message is about another temporary key than the one that the request is encrypted with.
    #[error("binding message is about temporary key {found:#018x}, the request is under {expected:#018x}")]
    TempKeyMismatch {
        /// Inside.
        found: i64,
        /// The request's.
        expected: i64,
    },
    /// The message is about another permanent key than the one that it is encrypted with.
    #[error("binding message is about permanent key {found:#018x}, and encrypted with {expected:#018x}")]
    PermKeyMismatch {
        /// Inside.
        found: i64,
        /// The request's.
        expected: i64,
    },
    /// The message is about another session than the request's.
    #[error("binding message is about session {found}, the request is in {expected}")]
    SessionMismatch {
        /// Inside.
        found: SessionId,
        /// The request's.
        expected: SessionId,
    },
    /// The time of expiry is not the one in the request.
    #[error("binding message ends the key at {found}, the request at {expected}")]
    ExpiryMismatch {
        /// Inside.
        found: i32,
        /// The request's.
        expected: i32,
    },
}

impl BindingError {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::WrongLength { .. } => "WrongLength",
            Self::KeyIdMismatch { .. } => "KeyIdMismatch",
            Self::MsgKeyMismatch => "MsgKeyMismatch",
            Self::MsgIdMismatch { .. } => "MsgIdMismatch",
            Self::SeqNoNotZero { .. } => "SeqNoNotZero",
            Self::WrongInnerLength { .. } => "WrongInnerLength",
            Self::WrongConstructor { .. } => "WrongConstructor",
            Self::NonceMismatch => "NonceMismatch",
            Self::TempKeyMismatch { .. } => "TempKeyMismatch",
            Self::PermKeyMismatch { .. } => "PermKeyMismatch",
            Self::SessionMismatch { .. } => "SessionMismatch",
            Self::ExpiryMismatch { .. } => "ExpiryMismatch",
        }
    }
}

/// Makes the binding message: the `encrypted_message` of `auth.bindTempAuthKey`. `perm_key` is the key that `binding` names.
pub fn seal(perm_key: &AuthKey, binding: &Binding, rng: &mut dyn Rng) -> Bytes {
    let mut plain = Zeroizing::new([0; PADDED_LEN]);
    rng.fill_bytes(&mut plain[..]);
    let inner = BindAuthKeyInner {
        nonce: binding.nonce,
        temp_auth_key_id: binding.temp_auth_key_id,
        perm_auth_key_id: binding.perm_auth_key_id,
        temp_session_id: binding.session_id.0,
        expires_at: binding.expires_at,
    }
    .to_bytes();
    let parts: [&[u8]; 5] = [
        &binding.msg_id.0.to_le_bytes(),
        &0_i32.to_le_bytes(),
        &INNER_LEN.to_le_bytes(),
        &BindAuthKeyInner::ID.to_le_bytes(),
        &inner,
    ];
    // Behind the first 16 random bytes, up to the padding: the parts have 56 bytes together.
    for (to, from) in plain[16..SIGNED_LEN].iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    seal_raw(perm_key, &plain)
}

/// Encrypts the decrypted part of a binding message, whatever it says: padding included, the message key over what precedes it.
///
/// [`seal`] is what clients use. This is for tests and fuzzers that want to say something wrong.
pub fn seal_raw(perm_key: &AuthKey, plain: &[u8; PADDED_LEN]) -> Bytes {
    let msg_key = kdf::msg_key_v1(&plain[..SIGNED_LEN]);
    let mut out = Vec::with_capacity(LEN);
    out.extend_from_slice(&perm_key.id().to_le_bytes());
    out.extend_from_slice(&msg_key);
    out.extend_from_slice(plain);
    let done = kdf::aes_v1(perm_key, &msg_key, Side::Client).encrypt(&mut out[HEADER_LEN..]);
    done.expect("the decrypted part is whole blocks by its type");
    out.into()
}

/// Checks a binding message against the permanent key and against the request that carries it.
///
/// Whether the key of the request *is* a temporary one, not yet bound elsewhere, and how long it may live is for the caller, who keeps
/// the keys.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check(perm_key: &AuthKey, expected: &Binding, message: &[u8]) -> Result<(), BindingError> {
    let wrong_length = BindingError::WrongLength { len: message.len() };
    let Some((header, encrypted)) = message.split_first_chunk::<HEADER_LEN>() else { return Err(wrong_length) };
    let Ok(encrypted) = <&[u8; PADDED_LEN]>::try_from(encrypted) else { return Err(wrong_length) };
    let (key_id, msg_key) = header.split_at(8);
    let (Ok(key_id), Ok(msg_key)) = (<[u8; 8]>::try_from(key_id), <[u8; 16]>::try_from(msg_key)) else {
        return Err(wrong_length);
    };
    let found = i64::from_le_bytes(key_id);
    if found != expected.perm_auth_key_id || found != perm_key.id() {
        return Err(BindingError::KeyIdMismatch { found, expected: expected.perm_auth_key_id });
    }

    let mut plain = Zeroizing::new(*encrypted);
    kdf::aes_v1(perm_key, &msg_key, Side::Client).decrypt(&mut plain[..]).map_err(|_| wrong_length)?;
    if !constant_time_eq(&kdf::msg_key_v1(&plain[..SIGNED_LEN]), &msg_key) {
        return Err(BindingError::MsgKeyMismatch);
    }
    check_fields(expected, Bytes::copy_from_slice(&plain[16..SIGNED_LEN]), wrong_length)
}

/// The fields behind the random bytes, in their order on the wire.
fn check_fields(expected: &Binding, fields: Bytes, too_short: BindingError) -> Result<(), BindingError> {
    let mut reader = Reader::new(fields);
    let ended = |_| too_short;

    let found = MsgId(reader.i64().map_err(ended)?);
    if found != expected.msg_id {
        return Err(BindingError::MsgIdMismatch { found, expected: expected.msg_id });
    }
    let found = reader.i32().map_err(ended)?;
    if found != 0 {
        return Err(BindingError::SeqNoNotZero { found });
    }
    let found = reader.i32().map_err(ended)?;
    if found != INNER_LEN {
        return Err(BindingError::WrongInnerLength { found });
    }
    let found = reader.u32().map_err(ended)?;
    if found != BindAuthKeyInner::ID {
        return Err(BindingError::WrongConstructor { found });
    }
    if reader.i64().map_err(ended)? != expected.nonce {
        return Err(BindingError::NonceMismatch);
    }
    let found = reader.i64().map_err(ended)?;
    if found != expected.temp_auth_key_id {
        return Err(BindingError::TempKeyMismatch { found, expected: expected.temp_auth_key_id });
    }
    let found = reader.i64().map_err(ended)?;
    if found != expected.perm_auth_key_id {
        return Err(BindingError::PermKeyMismatch { found, expected: expected.perm_auth_key_id });
    }
    let found = SessionId(reader.i64().map_err(ended)?);
    if found != expected.session_id {
        return Err(BindingError::SessionMismatch { found, expected: expected.session_id });
    }
    let found = reader.i32().map_err(ended)?;
    if found != expected.expires_at {
        return Err(BindingError::ExpiryMismatch { found, expected: expected.expires_at });
    }
    Ok(())
}
