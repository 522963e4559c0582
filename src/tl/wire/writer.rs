//! Writing. Nothing here can fail: a value that has a type has an encoding.

use super::VECTOR_ID;

/// `#` or a constructor id.
#[inline]
pub fn write_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Numbers of 32 bits in a row.
#[inline]
pub fn write_words<const N: usize>(out: &mut Vec<u8>, values: [u32; N]) {
    out.extend_from_slice(values.map(u32::to_le_bytes).as_flattened());
}

/// `int`.
#[inline]
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `long`.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `double`.
#[inline]
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `string` or `bytes`: length prefix, content, zero padding up to a multiple of four.
///
/// From 16 MiB on the prefix is 255 and seven bytes, as TDLib writes it; no frame is large enough for such a value, but a file may be.
#[inline]
pub fn write_bytes(out: &mut Vec<u8>, value: &[u8]) {
    let length = value.len();
    out.reserve(length + 12);
    let prefix = (length as u64).to_le_bytes();
    let header = if length < 254 {
        out.push(prefix[0]);
        1
    } else if length < 1 << 24 {
        out.push(254);
        out.extend_from_slice(&prefix[..3]);
        4
    } else {
        out.push(255);
        out.extend_from_slice(&prefix[..7]);
        8
    };
    out.extend_from_slice(value);
    // Lengths that the compiler knows spare a call.
    match (header + length) % 4 {
        0 => {}
        1 => out.extend_from_slice(&[0; 3]),
        2 => out.extend_from_slice(&[0; 2]),
        _ => out.push(0),
    }
}

/// Constructor id and element count of a `Vector<T>`. A count beyond 32 bits, more than memory could hold, is cut to the largest.
pub fn write_vector_header(out: &mut Vec<u8>, count: usize) {
    write_u32(out, VECTOR_ID);
    write_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
}
