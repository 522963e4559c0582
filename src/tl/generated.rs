//! What generated code leans on, under the short names it uses.

use std::fmt;

use super::dynamic;
use super::wire;

pub(crate) use bytes::Bytes;
pub(crate) use std::fmt::{Debug, Formatter as F, Result as FR};
pub(crate) use wire::{
    Deserialize as D, Identifiable as I, Reader as R, RemoteCall as C, Serialize as S, Str, unknown, write_i32 as i32,
    write_i64 as i64, write_u32 as u32, write_words as words,
};

/// Output.
pub(crate) type O = Vec<u8>;

/// A field of any readable type.
#[inline]
pub(crate) fn d<T: D>(r: &mut R) -> T {
    T::read(r)
}

/// A value of an enum, for its own sake.
#[inline]
pub(crate) fn own<T: D>(r: &mut R) -> T {
    T::read_with(r, |value| value)
}

/// Puts a value in the place of a placeholder. Those hold nothing, so there is nothing to drop, and it need not be looked for.
#[inline]
pub(crate) fn put<T>(slot: &mut T, value: T) {
    std::mem::forget(std::mem::replace(slot, value));
}

/// The default of a type: what a spoilt reader gives, zeros and empty values.
#[inline]
pub(crate) fn zero<T: D>() -> T {
    T::read(&mut R::spoilt())
}

/// The id of a method, which must come first.
#[inline]
pub(crate) fn id<T: I>(r: &mut R) {
    let id = r.next_u32();
    if id != T::ID {
        unknown(r, id, T::NAME);
    }
}

/// A `long` in two words, the lower half first.
#[inline]
pub(crate) fn long(low: u32, high: u32) -> i64 {
    (u64::from(high) << 32 | u64::from(low)).cast_signed()
}

/// A constructor of a boxed type.
#[inline]
pub(crate) fn object<T: S>(o: &mut O, id: u32, fields: &T) {
    u32(o, id);
    fields.serialize(o);
}

/// `vector<T>`.
pub(crate) fn bare_vector<T: S>(o: &mut O, items: &[T]) {
    u32(o, u32::try_from(items.len()).unwrap_or(u32::MAX));
    items.iter().for_each(|item| item.serialize(o));
}

/// Equality of generated types is that of their encodings.
pub(crate) fn same<T: S>(a: &T, b: &T) -> bool {
    a.to_bytes() == b.to_bytes()
}

/// `Debug` of a constructor's struct, whose bytes lack the id.
pub(crate) fn debug_bare<T: S + I>(value: &T, f: &mut F<'_>) -> fmt::Result {
    let mut bytes = Vec::new();
    object(&mut bytes, T::ID, value);
    dynamic::debug(bytes.into(), f)
}

/// `Debug` of a boxed type or method.
pub(crate) fn debug<T: S>(value: &T, f: &mut F<'_>) -> fmt::Result {
    dynamic::debug(value.to_bytes(), f)
}
