//! The model of a schema.

use std::collections::HashMap;

use super::error::{ParseError, ParseErrorKind};

/// What a definition is: the two sections of a schema file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A constructor of a type (`---types---`).
    Constructor,
    /// A method (`---functions---`).
    Function,
}

/// One line of a schema: a constructor or a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Full name with its namespace: `auth.sendCode`.
    pub name: String,
    /// The number that stands for it on the wire.
    pub id: u32,
    /// Names of the type parameters, `X` of `{X:Type}`.
    pub generics: Vec<String>,
    /// Parameters in wire order, flags fields included.
    pub params: Vec<Param>,
    /// The type it belongs to, or that the method returns.
    pub result: Type,
    /// Constructor or method.
    pub kind: Kind,
    /// Line in the file, from 1.
    pub line: u32,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Name as in the schema.
    pub name: String,
    /// The bit that says whether it is there, for a conditional one.
    pub flag: Option<Flag>,
    /// Its type, without the condition.
    pub ty: Type,
}

/// The condition of a conditional parameter, `flags.3?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Name of the flags field.
    pub field: String,
    /// Bit number, 0 to 31.
    pub bit: u8,
}

/// A type expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `#`: 32 bits that say which conditional parameters are there.
    Flags,
    /// `int`: 32 bits, signed.
    Int,
    /// `long`: 64 bits, signed.
    Long,
    /// `double`: IEEE 754, 64 bits.
    Double,
    /// `int128`: 16 bytes.
    Int128,
    /// `int256`: 32 bytes.
    Int256,
    /// `string`: UTF-8 text.
    String,
    /// `bytes`: any bytes, encoded as a string.
    Bytes,
    /// `true`: no bytes at all; the flag bit is the value.
    True,
    /// `Bool`: one of two constructors.
    Bool,
    /// `Vector<T>` (with its constructor id) or, when bare, `vector<T>` (without).
    Vector {
        /// Whether the constructor id is left out.
        bare: bool,
        /// Type of the elements.
        item: Box<Self>,
    },
    /// `Type`: an object with its constructor id.
    Boxed(String),
    /// `constructor`: the fields of that constructor, without an id.
    Bare(String),
    /// `%Type`: the fields of the only constructor of the type, without an id.
    BareBoxed(String),
    /// `X`: a type variable.
    Variable(String),
    /// `!X`: a method call whose result is the type variable.
    Call(String),
}

/// A definition that the wire code knows by itself: `vector`, `int ? = Int`. Kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: String,
    /// Its id, which `vector` has and `int` has no use for.
    pub id: Option<u32>,
    /// The rest of the line, spaces normalised: `{t:Type} # [ t ] = Vector t`.
    pub rest: String,
    /// Line in the file, from 1.
    pub line: u32,
}

/// A parsed schema, with its lookup tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    layer: Option<i32>,
    definitions: Vec<Definition>,
    builtins: Vec<Builtin>,
    by_id: HashMap<u32, usize>,
    constructors: HashMap<String, usize>,
    functions: HashMap<String, usize>,
    types: HashMap<String, Vec<usize>>,
}

impl Schema {
    /// Builds the tables.
    ///
    /// # Errors
    /// [`ParseErrorKind::DuplicateName`] and [`ParseErrorKind::DuplicateId`].
    pub fn new(layer: Option<i32>, definitions: Vec<Definition>, builtins: Vec<Builtin>) -> Result<Self, ParseError> {
        let mut schema = Self { layer, builtins, ..Self::default() };
        for definition in definitions {
            schema.push(definition)?;
        }
        Ok(schema)
    }

    /// This schema with the definitions of another one added; the layer is the one that is known.
    ///
    /// # Errors
    /// [`ParseErrorKind::DuplicateName`] and [`ParseErrorKind::DuplicateId`].
    pub fn merged(mut self, other: Self) -> Result<Self, ParseError> {
        self.layer = self.layer.or(other.layer);
        self.builtins.extend(other.builtins);
        for definition in other.definitions {
            self.push(definition)?;
        }
        Ok(self)
    }

    fn push(&mut self, definition: Definition) -> Result<(), ParseError> {
        let fail = |kind| Err(ParseError { line: definition.line, kind });
        let index = self.definitions.len();
        if let Some(&other) = self.by_id.get(&definition.id) {
            let other = self.definitions[other].name.clone();
            return fail(ParseErrorKind::DuplicateId { name: definition.name.clone(), other, id: definition.id });
        }
        let names = match definition.kind {
            Kind::Constructor => &mut self.constructors,
            Kind::Function => &mut self.functions,
        };
        if names.insert(definition.name.clone(), index).is_some() {
            return fail(ParseErrorKind::DuplicateName(definition.name.clone()));
        }
        self.by_id.insert(definition.id, index);
        if definition.kind == Kind::Constructor {
            self.types.entry(definition.result.to_string()).or_default().push(index);
        }
        self.definitions.push(definition);
        Ok(())
    }

    /// The API layer, if the file names one.
    pub fn layer(&self) -> Option<i32> {
        self.layer
    }

    /// All definitions, in file order.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Definitions that are part of the language.
    pub fn builtins(&self) -> &[Builtin] {
        &self.builtins
    }

    /// The definition with this id.
    pub fn by_id(&self, id: u32) -> Option<&Definition> {
        self.definitions.get(*self.by_id.get(&id)?)
    }

    /// The constructor or, failing that, the method with this full name.
    pub fn by_name(&self, name: &str) -> Option<&Definition> {
        self.constructor(name).or_else(|| self.function(name))
    }

    /// The constructor with this full name.
    pub fn constructor(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(*self.constructors.get(name)?)
    }

    /// The method with this full name.
    pub fn function(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(*self.functions.get(name)?)
    }

    /// The constructors of a type, in file order; none for a type that the schema does not define.
    pub fn constructors_of<'a>(&'a self, type_name: &str) -> impl Iterator<Item = &'a Definition> + use<'a> {
        let indices = self.types.get(type_name).map_or(&[][..], Vec::as_slice);
        indices.iter().filter_map(|&i| self.definitions.get(i))
    }

    /// Types that definitions mention and no definition makes, with one that mentions them; empty for a whole schema. `Object` is any
    /// object, and needs none.
    pub fn undefined_types(&self) -> Vec<(String, String)> {
        let mut missing = Vec::new();
        for definition in &self.definitions {
            for mut ty in definition.params.iter().map(|p| &p.ty).chain([&definition.result]) {
                while let Type::Vector { item, .. } = ty {
                    ty = item;
                }
                let defined = match ty {
                    Type::Boxed(name) | Type::BareBoxed(name) => name == "Object" || self.types.contains_key(name),
                    Type::Bare(name) => self.constructors.contains_key(name),
                    _ => true,
                };
                if !defined {
                    missing.push((ty.to_string(), definition.name.clone()));
                }
            }
        }
        missing
    }

    /// Names of all types that have constructors, sorted.
    pub fn type_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.types.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

impl Definition {
    /// Namespace and name within it: `("auth", "sendCode")`; the namespace may be empty.
    pub fn split_name(&self) -> (&str, &str) {
        split_name(&self.name)
    }
}

impl Param {
    /// Whether the parameter takes no bytes of its own: `flags.N?true`.
    pub fn is_true_flag(&self) -> bool {
        self.flag.is_some() && self.ty == Type::True
    }
}

/// Namespace and name within it.
pub fn split_name(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}
