//! Calls that end with a part of a file.

use bytes::Bytes;

use crate::mtproto::session::Query;
use crate::tl::Serialize;
use crate::tl::wire::write_bytes;

/// Lengths that take four bytes to write: the part after them begins where it can be a piece of its own. "Binary Data Serialization".
const LONG: std::ops::Range<usize> = 254..1 << 24;

/// A call whose last argument is `part`, of which `request` has none. A part that needs padding, as only a file's last one does, is copied.
pub(super) fn with_part(request: &impl Serialize, part: Bytes) -> Query {
    let mut head = Vec::new();
    request.serialize(&mut head);
    // The empty one: its length, and what fills it up to four bytes.
    head.truncate(head.len().saturating_sub(4));
    if !LONG.contains(&part.len()) || !part.len().is_multiple_of(4) {
        write_bytes(&mut head, &part);
        return Bytes::from(head).into();
    }
    let [length @ .., 0] = u32::try_from(part.len()).unwrap_or(0).to_le_bytes() else { unreachable!("less than 2^24") };
    head.push(254);
    head.extend_from_slice(&length);
    Query::in_pieces(head.into(), part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tl::api::functions::upload::{SaveBigFilePart, SaveFilePart};

    #[test]
    fn it_is_what_it_would_be_in_one_piece() {
        for len in [0, 1, 3, 4, 252, 253, 254, 256, 257, 1024, 1027, 512 << 10, (1 << 24) - 4, 1 << 24] {
            let bytes = Bytes::from((0..len).map(|at| at as u8).collect::<Vec<_>>());
            let small = SaveFilePart { file_id: -5, file_part: 3, bytes: Bytes::new() };
            let big = SaveBigFilePart { file_id: 7, file_part: 3, file_total_parts: 9, bytes: Bytes::new() };
            let in_pieces = [with_part(&small, bytes.clone()), with_part(&big, bytes.clone())];
            let whole = [
                SaveFilePart { bytes: bytes.clone(), ..small }.to_bytes(),
                SaveBigFilePart { bytes: bytes.clone(), ..big }.to_bytes(),
            ];
            assert!(in_pieces.each_ref().map(Query::to_bytes) == whole, "{len}");
            let is_shared = in_pieces.iter().all(|query| len > 0 && query.pieces()[1].as_ptr() == bytes.as_ptr());
            assert_eq!(is_shared, LONG.contains(&len) && len % 4 == 0, "{len}");
        }
    }
}
