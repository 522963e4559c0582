//! Files that a CDN serves: "Encrypted CDNs for Speed and Security".
//!
//! The CDN is an enemy: it has the file encrypted under a key that only the file's DC and we know, and what it serves is believed only by
//! the hashes that the file's DC gives. No byte is handed out before its hash was checked.

use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::cover::MAX_QUESTIONS;
use super::hashes::{Hashes, Unchecked};
use super::range::{Ask, ask_strictly};
use super::{Inner, lock};
use crate::client::{InvokeError, Media};
use crate::crypto::aes::Ctr;
use crate::ids::DcId;
use crate::tl::api::{enums, functions, types};
use crate::transfer::TransferError;
use crate::transfer::flow::Direction;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How often one range may make the file be brought to the CDN.
const MAX_REUPLOADS: u32 = 3;
/// How often in a row a CDN is asked in vain for one range, if it has answered before and if it never has: what it has is to be had
/// elsewhere.
const MAX_TRIES: u32 = 3;
const MAX_FIRST_TRIES: u32 = 2;
/// Bytes that one step of the counter covers.
const STEP: u64 = 16;

/// A file as a CDN has it.
pub(super) struct CdnFile {
    dc: DcId,
    token: Bytes,
    key: Zeroizing<[u8; 32]>,
    iv: [u8; 16],
    size: u64,
    pub(super) hashes: Mutex<Hashes>,
    /// Whether it has answered at all.
    answered: AtomicBool,
}

/// What came of asking a CDN.
pub(super) enum FromCdn {
    /// The range, decrypted.
    Came(Unchecked),
    /// It is not to be had there; the file's DC has to be asked, and may redirect again if that is `allowed`.
    Back { allowed: bool },
}

impl CdnFile {
    pub(super) fn new(redirect: &types::upload::FileCdnRedirect, size: u64) -> Result<Self, TransferError> {
        let wrong = |_| TransferError::CdnKeySize;
        let key = Zeroizing::new(<[u8; 32]>::try_from(&redirect.encryption_key[..]).map_err(wrong)?);
        let iv = <[u8; 16]>::try_from(&redirect.encryption_iv[..]).map_err(wrong)?;
        let mut hashes = Hashes::default();
        hashes.add(&redirect.file_hashes, size);
        let dc = DcId(redirect.dc_id);
        Ok(Self {
            dc,
            token: redirect.file_token.clone(),
            key,
            iv,
            size,
            hashes: Mutex::new(hashes),
            answered: AtomicBool::new(false),
        })
    }

    pub(super) fn dc(&self) -> DcId {
        self.dc
    }

    /// Decrypts what begins at `offset`, a multiple of 16: the last four bytes of the initialisation vector are the number of the block,
    /// big-endian.
    fn decrypt(&self, offset: u64, bytes: &mut [u8]) {
        let mut iv = self.iv;
        let counter = u32::try_from(offset / STEP % (1 << 32)).unwrap_or(0);
        if let Some(last) = iv.last_chunk_mut::<4>() {
            *last = counter.to_be_bytes();
        }
        Ctr::new(&self.key, &iv).apply(bytes);
    }
}

/// Whether the file's DC, or the CDN, does not accept a token any more: then the file's DC has to be asked again.
fn is_stale(error: &TransferError) -> bool {
    let TransferError::Invoke(error) = error else { return false };
    ["FILE_TOKEN_INVALID", "REQUEST_TOKEN_INVALID", "LOCATION_INVALID"].iter().any(|name| error.is_rpc(name))
}

/// Whether a CDN cannot be talked to, however often it was tried.
fn is_out_of_reach(error: &InvokeError) -> bool {
    matches!(error, InvokeError::Net(_) | InvokeError::Protocol(_) | InvokeError::Timeout { .. } | InvokeError::Failed { .. })
}

impl Inner {
    /// A range from a CDN. `origin` is the DC that keeps the file.
    pub(super) async fn by_cdn(&self, file: &CdnFile, origin: &Media, asked: Ask) -> Result<FromCdn, TransferError> {
        if self.lane.is_shunned(file.dc) {
            return Ok(FromCdn::Back { allowed: false });
        }
        let media = match self.client.cdn(file.dc).await {
            Ok(media) => media,
            // Nobody knows where it is, or who: what it has is to be had elsewhere.
            Err(error) if matches!(error, InvokeError::CdnKey { .. }) || is_out_of_reach(&error) => {
                return Ok(FromCdn::Back { allowed: false });
            }
            Err(error) => return Err(error.into()),
        };
        let range = TransferError::Range { offset: asked.offset, len: asked.len.into() };
        let strict = ask_strictly(asked.offset, asked.len, self.size).ok_or(range)?;
        let request = functions::upload::GetCdnFile {
            file_token: file.token.clone(),
            offset: i64::try_from(strict.offset).unwrap_or(i64::MAX),
            limit: strict.limit.cast_signed(),
        };
        let mut reuploads = 0;
        let (encrypted, hold) = loop {
            let (asked_of, question, tries) = (&media, &request, &AtomicU32::new(0));
            let work = move || async move {
                let most = if file.answered.load(Ordering::Relaxed) { MAX_TRIES } else { MAX_FIRST_TRIES };
                if tries.fetch_add(1, Ordering::Relaxed) >= most {
                    return Err(TransferError::CdnSilent { dc: file.dc });
                }
                let answer = asked_of.once(question).await;
                if !answer.as_ref().is_err_and(is_out_of_reach) {
                    // Whatever it says, it is not silent.
                    file.answered.store(true, Ordering::Relaxed);
                    tries.store(0, Ordering::Relaxed);
                }
                answer.map_err(TransferError::from)
            };
            let (answer, hold) = match self.lane.part(file.dc, Direction::Down, strict.len.into(), work).await {
                Ok(answer) => answer,
                Err(error) if is_stale(&error) => return Ok(FromCdn::Back { allowed: true }),
                // It cannot be reached, or does not want to: that is no reason not to get the file.
                Err(TransferError::CdnSilent { dc }) => {
                    self.lane.shun(dc);
                    return Ok(FromCdn::Back { allowed: false });
                }
                Err(TransferError::Invoke(error)) if matches!(error, InvokeError::Rpc(_)) || is_out_of_reach(&error) => {
                    return Ok(FromCdn::Back { allowed: false });
                }
                Err(error) => return Err(error),
            };
            match answer {
                enums::upload::CdnFile::File(part) => break (part.bytes, hold),
                enums::upload::CdnFile::ReuploadNeeded(needed) => {
                    drop(hold);
                    reuploads += 1;
                    if reuploads > MAX_REUPLOADS {
                        return Err(TransferError::ReuploadLoop);
                    }
                    let reupload = &functions::upload::ReuploadCdnFile {
                        file_token: file.token.clone(),
                        request_token: needed.request_token,
                    };
                    let work = move || async move { origin.once(reupload).await.map_err(TransferError::from) };
                    match self.lane.part(origin.dc(), Direction::Down, 0, work).await {
                        Ok((hashes, _)) => lock(&file.hashes).add(&hashes, file.size),
                        Err(error) if is_stale(&error) => return Ok(FromCdn::Back { allowed: true }),
                        Err(error) => return Err(error),
                    }
                }
            }
        };
        if encrypted.len() != strict.len as usize {
            // As it is: whoever checks it says what is wrong.
            let expected = Hashes::default().within(strict);
            return Ok(FromCdn::Came(Unchecked { bytes: hold.with(encrypted), asked: strict, expected, wholly: true }));
        }
        if let Some(back) = self.cover_cdn(file, origin, asked).await? {
            return Ok(back);
        }
        // In place if nobody else has a part of the buffer.
        let mut bytes = encrypted.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        file.decrypt(strict.offset, &mut bytes);
        let bytes = hold.with(bytes.freeze());
        let from = usize::try_from(asked.offset - strict.offset).unwrap_or(usize::MAX);
        let bytes = bytes.slice(from..from.saturating_add(asked.len as usize));
        let expected = lock(&file.hashes).within(asked);
        Ok(FromCdn::Came(Unchecked { bytes, asked, expected, wholly: true }))
    }

    /// Sees to it that every byte of a range has a hash.
    async fn cover_cdn(&self, file: &CdnFile, origin: &Media, asked: Ask) -> Result<Option<FromCdn>, TransferError> {
        let (end, mut questions) = (asked.end(), 0);
        loop {
            let Some(gap) = lock(&file.hashes).gap(asked.offset, end) else { return Ok(None) };
            if questions == MAX_QUESTIONS {
                return Err(TransferError::CdnHashMissing { offset: gap });
            }
            questions += 1;
            let request = &functions::upload::GetCdnFileHashes {
                file_token: file.token.clone(),
                offset: i64::try_from(gap).unwrap_or(i64::MAX),
            };
            let work = move || async move { origin.once(request).await.map_err(TransferError::from) };
            match self.lane.part(origin.dc(), Direction::Down, 0, work).await {
                Ok((hashes, _)) => {
                    lock(&file.hashes).add(&hashes, file.size);
                    if lock(&file.hashes).gap(asked.offset, end) == Some(gap) {
                        return Err(TransferError::CdnHashMissing { offset: gap });
                    }
                }
                Err(error) if is_stale(&error) => return Ok(Some(FromCdn::Back { allowed: true })),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(key: usize, iv: usize) -> types::upload::FileCdnRedirect {
        types::upload::FileCdnRedirect {
            dc_id: 203,
            file_token: Bytes::from_static(b"token"),
            encryption_key: (0..key).map(|n| n as u8).collect::<Vec<_>>().into(),
            encryption_iv: vec![0xf0; iv].into(),
            file_hashes: Vec::new(),
        }
    }

    #[test]
    fn a_range_is_decrypted_by_where_it_is() {
        let file = CdnFile::new(&redirect(32, 16), 1 << 20).unwrap();
        let plain: Vec<u8> = (0..4096_u32).map(|n| (n / 7) as u8).collect();
        let mut whole = plain.clone();
        file.decrypt(0, &mut whole);
        for (from, to) in [(0, 4096), (16, 4096), (1024, 2048), (4080, 4096)] {
            let mut part = whole[from..to].to_vec();
            file.decrypt(from as u64, &mut part);
            assert_eq!(part, plain[from..to], "{from}");
        }
        // The counter replaces the last four bytes, whatever they were.
        let mut first = plain[..16].to_vec();
        let mut iv = [0xf0; 16];
        iv[12..].fill(0);
        Ctr::new(&file.key, &iv).apply(&mut first);
        assert_eq!(first, whole[..16]);
    }

    #[test]
    fn keys_of_another_size_are_refused() {
        for (key, iv) in [(31, 16), (33, 16), (0, 16), (32, 15), (32, 17)] {
            assert!(matches!(CdnFile::new(&redirect(key, iv), 5), Err(TransferError::CdnKeySize)));
        }
    }
}
