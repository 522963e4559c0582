//! What everything with TL bytes can do.

use std::fmt;

use bytes::Bytes;

use super::writer::{write_bytes, write_f64, write_i32, write_i64, write_u32, write_vector_header};
use super::{BOOL_FALSE_ID, BOOL_TRUE_ID, Error, Reader, Result, Str};

/// A value that can be written as TL.
pub trait Serialize {
    /// Appends the bytes.
    fn serialize(&self, out: &mut Vec<u8>);

    /// The bytes on their own.
    fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.serialize(&mut out);
        out.into()
    }
}

/// A value that can be read from TL.
pub trait Deserialize: Sized {
    /// Takes one value off the reader. When the bytes break a rule the reader is spoilt ([`Reader::status`]), and the value stands for
    /// nothing.
    fn read(reader: &mut Reader) -> Self;

    /// As [`read`](Self::read), and does something with the value. For an enum that is done at each of its variants, so that a value which
    /// goes into a vector, say, is made where it will lie and not moved there.
    #[inline]
    fn read_with<T>(reader: &mut Reader, then: impl FnOnce(Self) -> T) -> T {
        then(Self::read(reader))
    }

    /// As [`read`](Self::read), into a box. A large struct is made there from the start.
    #[inline]
    fn read_boxed(reader: &mut Reader) -> Box<Self> {
        Box::new(Self::read(reader))
    }

    /// As [`read`](Self::read), into a place: `put` moves the value there and gives it back, or keeps it to itself. A large struct is put
    /// there when a part of it is read, and filled there; without a place, the rest of it is not read.
    #[inline]
    fn read_into<'a>(reader: &mut Reader, put: impl FnOnce(Self) -> Option<&'a mut Self>)
    where
        Self: 'a,
    {
        Self::read_with(reader, |value| {
            put(value);
        });
    }

    /// Takes one value off the reader.
    ///
    /// # Errors
    /// The first rule of the wire format that the bytes break.
    fn deserialize(reader: &mut Reader) -> Result<Self> {
        let value = Self::read(reader);
        reader.status().map(|()| value)
    }

    /// Reads a buffer that holds one value and nothing else.
    ///
    /// # Errors
    /// As [`deserialize`](Self::deserialize), and [`Error::TrailingBytes`].
    fn from_bytes(bytes: Bytes) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let value = Self::deserialize(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A constructor or method: something with an id and a name.
pub trait Identifiable {
    /// The id on the wire.
    const ID: u32;
    /// The name in the schema, with its namespace: `auth.sendCode`.
    const NAME: &'static str;
}

/// A method.
pub trait RemoteCall: Serialize + Identifiable {
    /// What it returns.
    type Return: Deserialize;
}

/// An object of which nothing is known but its bytes: the inner call of a generic method on the receiving side, or a result that somebody
/// else will decode.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RawObject(pub Bytes);

impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawObject({} bytes)", self.0.len())
    }
}

impl Serialize for RawObject {
    fn serialize(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl Deserialize for RawObject {
    fn read(reader: &mut Reader) -> Self {
        Self(reader.rest())
    }
}

macro_rules! primitive {
    ($($ty:ty: |$value:ident, $out:ident| $write:expr, $read:ident;)*) => {$(
        impl Serialize for $ty {
            #[inline]
            fn serialize(&self, $out: &mut Vec<u8>) {
                let $value = self;
                $write;
            }
        }

        impl Deserialize for $ty {
            #[inline]
            fn read(reader: &mut Reader) -> Self {
                reader.$read()
            }
        }
    )*};
}

primitive! {
    i32: |value, out| write_i32(out, *value), next_i32;
    i64: |value, out| write_i64(out, *value), next_i64;
    f64: |value, out| write_f64(out, *value), next_f64;
    [u8; 16]: |value, out| out.extend_from_slice(value), next_int128;
    [u8; 32]: |value, out| out.extend_from_slice(value), next_int256;
    bool: |value, out| write_u32(out, if *value { BOOL_TRUE_ID } else { BOOL_FALSE_ID }), next_bool;
    Bytes: |value, out| write_bytes(out, value), next_bytes;
    Str: |value, out| write_bytes(out, value.as_bytes()), next_string;
}

impl<T: Serialize> Serialize for Vec<T> {
    fn serialize(&self, out: &mut Vec<u8>) {
        self.as_slice().serialize(out);
    }
}

impl<T: Serialize> Serialize for [T] {
    fn serialize(&self, out: &mut Vec<u8>) {
        write_vector_header(out, self.len());
        self.iter().for_each(|item| item.serialize(out));
    }
}

impl<T: Deserialize> Deserialize for Vec<T> {
    #[inline]
    fn read(reader: &mut Reader) -> Self {
        reader.next_vector()
    }
}

impl<T: Serialize + ?Sized> Serialize for Box<T> {
    #[inline]
    fn serialize(&self, out: &mut Vec<u8>) {
        (**self).serialize(out);
    }
}

impl<T: Deserialize> Deserialize for Box<T> {
    #[inline]
    fn read(reader: &mut Reader) -> Self {
        T::read_boxed(reader)
    }
}

impl<T: Serialize + ?Sized> Serialize for &T {
    #[inline]
    fn serialize(&self, out: &mut Vec<u8>) {
        (**self).serialize(out);
    }
}

/// Nothing at all for `None`: whether the value is there is said by a flag bit elsewhere.
impl<T: Serialize> Serialize for Option<T> {
    #[inline]
    fn serialize(&self, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.serialize(out);
        }
    }
}

/// Spoils the reader for an id that the expected type does not have.
#[cold]
pub(crate) fn unknown(reader: &mut Reader, id: u32, expected: &'static str) {
    reader.fail(Error::UnknownConstructor { id, expected });
}
