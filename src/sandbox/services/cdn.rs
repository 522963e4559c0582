//! The CDN DC, and what the others do for it: "Encrypted CDNs for Speed and Security".
//!
//! It has its files in memory only, and asks to be given them again. Here that is all there is to it: it knows which ones it has, and their
//! bytes are encrypted when they are asked for, out of the contents that all DCs share. The key and the counter's beginning follow from
//! the file, so they are the same in each redirect.

use bytes::Bytes;

use super::upload::{check_range, corrupted, hashes_around, shortened};
use super::{Call, CdnSettings, unix32};
use crate::fault::Fault;
use crate::state::State;
use crate::state::files::{self, Document};
use tdl_core::crypto::aes::Ctr;
use tdl_core::tl::api::functions::upload as f;
use tdl_core::tl::api::{enums, types};

/// The first byte of our tokens.
const TOKEN_VERSION: u8 = 1;
/// Bytes of a file token: version, document, origin, time, proof.
const TOKEN_LEN: usize = 1 + 8 + 4 + 4 + 8;

/// What a file token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    document: i64,
    /// The DC that gave it out.
    origin: i32,
    /// When, Unix time.
    since: i32,
}

impl Token {
    fn proof(self, state: &State, label: &[u8]) -> [u8; 8] {
        state.derive(label, &[self.document, self.origin.into(), self.since.into()]).to_le_bytes()
    }

    fn to_bytes(self, state: &State) -> Bytes {
        let mut out = vec![TOKEN_VERSION];
        out.extend_from_slice(&self.document.to_le_bytes());
        out.extend_from_slice(&self.origin.to_le_bytes());
        out.extend_from_slice(&self.since.to_le_bytes());
        out.extend_from_slice(&self.proof(state, b"cdn file"));
        out.into()
    }

    /// What the CDN DC gives a client for the DC that the token is from.
    fn request(self, state: &State) -> Bytes {
        Bytes::copy_from_slice(&self.proof(state, b"cdn request"))
    }

    /// A token that is ours, and whose time is not over.
    fn read(call: &Call<'_>, cdn: &CdnSettings, bytes: &[u8]) -> Result<Self, Fault> {
        let parts = || {
            let (&version, rest) = bytes.split_first()?;
            let (document, rest) = rest.split_first_chunk()?;
            let (origin, rest) = rest.split_first_chunk()?;
            let (since, _) = rest.split_first_chunk()?;
            let good = version == TOKEN_VERSION && bytes.len() == TOKEN_LEN;
            good.then(|| Self {
                document: i64::from_le_bytes(*document),
                origin: i32::from_le_bytes(*origin),
                since: i32::from_le_bytes(*since),
            })
        };
        let token = parts().ok_or(Fault::FileTokenInvalid)?;
        let in_time = call.now <= i64::from(token.since).saturating_add(cdn.rules.token_lifetime);
        let ours = bytes.ends_with(&token.proof(call.state, b"cdn file"));
        if ours && in_time { Ok(token) } else { Err(Fault::FileTokenInvalid) }
    }
}

/// The key and the counter's beginning of a file at the CDN.
fn secrets(state: &State, document: i64) -> ([u8; 32], [u8; 16]) {
    let mut bytes = [0; 48];
    for (n, chunk) in (0..).zip(bytes.as_chunks_mut::<8>().0) {
        *chunk = state.derive(b"cdn key", &[document, n]).to_le_bytes();
    }
    let (mut key, mut iv) = ([0; 32], [0; 16]);
    key.copy_from_slice(&bytes[..32]);
    iv.copy_from_slice(&bytes[32..]);
    (key, iv)
}

/// The counter at an offset, which is a multiple of 16: its last four bytes say which block.
fn counter(mut iv: [u8; 16], offset: i64) -> [u8; 16] {
    let block = u32::try_from(offset / 16).unwrap_or(u32::MAX);
    iv[12..].copy_from_slice(&block.to_be_bytes());
    iv
}

fn settings<'a>(call: &Call<'a>) -> Result<&'a CdnSettings, Fault> {
    call.settings.cdn.as_ref().ok_or(Fault::FileTokenInvalid)
}

/// Where a document is to be downloaded from instead, if it is one for the CDN.
pub(super) fn redirect(call: &Call<'_>, document: &Document, offset: i64) -> Result<Option<enums::upload::File>, Fault> {
    let Some(cdn) = call.settings.cdn.as_ref().filter(|cdn| document.blob.size >= cdn.rules.from_size) else {
        return Ok(None);
    };
    let token = Token { document: document.id, origin: call.dc, since: unix32(call.now) };
    let (key, iv) = secrets(call.state, document.id);
    Ok(Some(
        types::upload::FileCdnRedirect {
            dc_id: cdn.dc,
            file_token: token.to_bytes(call.state),
            encryption_key: Bytes::copy_from_slice(&key),
            encryption_iv: Bytes::copy_from_slice(&iv),
            file_hashes: hashes_around(call, document.blob, offset)?,
        }
        .into(),
    ))
}

fn document(call: &Call<'_>, token: Token) -> Result<Document, Fault> {
    call.state.read(|db| files::document(db, token.document))?.ok_or(Fault::FileTokenInvalid)
}

/// At the CDN DC, for anybody: encrypted bytes of a file that it has.
pub(crate) fn cdn_file(call: &mut Call<'_>, req: f::GetCdnFile) -> Result<enums::upload::CdnFile, Fault> {
    let cdn = settings(call)?;
    check_range(req.offset, req.limit.into(), false)?;
    let token = Token::read(call, cdn, &req.file_token)?;
    let document = document(call, token)?;
    if call.mishaps.forget {
        call.memory.forget_at_cdn(document.id);
    }
    if !call.memory.is_at_cdn(document.id) {
        return Ok(types::upload::CdnFileReuploadNeeded { request_token: token.request(call.state) }.into());
    }
    let mut bytes = call.state.read_blob(document.blob, req.offset, req.limit.into())?;
    let (key, iv) = secrets(call.state, document.id);
    Ctr::new(&key, &counter(iv, req.offset)).apply(&mut bytes);
    corrupted(call, req.offset, &mut bytes);
    shortened(call, &mut bytes);
    Ok(types::upload::CdnFile { bytes: bytes.into() }.into())
}

/// At the DC that redirected: the CDN DC is given a file, again or for the first time.
pub(crate) fn reupload_cdn_file(call: &mut Call<'_>, req: f::ReuploadCdnFile) -> Result<Vec<enums::FileHash>, Fault> {
    call.user_id()?;
    let cdn = settings(call)?;
    let token = Token::read(call, cdn, &req.file_token)?;
    if token.origin != call.dc {
        return Err(Fault::FileTokenInvalid);
    }
    if req.request_token != token.request(call.state) {
        return Err(Fault::RequestTokenInvalid);
    }
    let document = document(call, token)?;
    call.memory.put_at_cdn(document.id, cdn.rules.kept);
    hashes_around(call, document.blob, 0)
}

/// At the DC that redirected: hashes of a block of 1 MiB, of what the bytes are once they are decrypted.
pub(crate) fn cdn_file_hashes(call: &mut Call<'_>, req: f::GetCdnFileHashes) -> Result<Vec<enums::FileHash>, Fault> {
    call.user_id()?;
    let cdn = settings(call)?;
    if req.offset < 0 {
        return Err(Fault::OffsetInvalid);
    }
    let token = Token::read(call, cdn, &req.file_token)?;
    if token.origin != call.dc {
        return Err(Fault::FileTokenInvalid);
    }
    let document = document(call, token)?;
    hashes_around(call, document.blob, req.offset)
}
