//! The tree.

use bytes::Bytes;

use crate::schema::Definition;
use crate::wire::Str;

/// A value of a TL type.
#[derive(Clone, PartialEq)]
pub enum Value<'s> {
    /// A conditional parameter whose bit is not set.
    Absent,
    /// `#`.
    Flags(u32),
    /// `flags.N?true` with its bit set.
    True,
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `double`.
    Double(f64),
    /// `int128`, in wire order.
    Int128([u8; 16]),
    /// `int256`, in wire order.
    Int256([u8; 32]),
    /// `Bool`.
    Bool(bool),
    /// `string`.
    String(Str),
    /// `bytes`.
    Bytes(Bytes),
    /// `Vector<T>` or `vector<T>`.
    Vector(Vec<Self>),
    /// A constructor with its fields, or a method with its arguments.
    Object(Object<'s>),
    /// An object that no schema describes.
    Raw {
        /// Its id.
        id: u32,
        /// Its name.
        name: &'static str,
        /// Everything behind the id.
        body: Bytes,
    },
}

/// A constructor with its fields, or a method with its arguments.
#[derive(Clone, PartialEq)]
pub struct Object<'s> {
    /// What the schema says about it.
    pub definition: &'s Definition,
    /// One value for each parameter of the definition, in its order.
    pub values: Vec<Value<'s>>,
}

impl<'s> Object<'s> {
    /// The value of a parameter, by its schema name; none if there is no such parameter, or it is absent.
    pub fn field(&self, name: &str) -> Option<&Value<'s>> {
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Names and values of what is there, flags fields left out.
    pub fn fields(&self) -> impl Iterator<Item = (&'s str, &Value<'s>)> {
        let pairs = self.definition.params.iter().zip(&self.values);
        pairs.filter(|(_, v)| !matches!(v, Value::Absent | Value::Flags(_))).map(|(p, v)| (p.name.as_str(), v))
    }
}
