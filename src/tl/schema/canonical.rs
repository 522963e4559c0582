//! Model to text: the canonical form, and the ids that follow from it.

use std::fmt;

use super::error::ParseError;
use super::model::{Definition, Kind, Param, Schema, Type, split_name};
use super::parse::parse;

/// A definition whose id is not the CRC-32 of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdException {
    /// Full name of the definition.
    pub name: String,
    /// The id in the file, which is the one that goes on the wire.
    pub declared: u32,
    /// What the CRC-32 would be.
    pub computed: u32,
}

impl fmt::Display for IdException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:08x}, computed {:08x}", self.name, self.declared, self.computed)
    }
}

/// Definitions whose id is not the CRC-32 of their text, by name.
pub fn exceptions(schema: &Schema) -> Vec<IdException> {
    let found = schema.definitions().iter().filter_map(|d| {
        let computed = d.computed_id();
        (computed != d.id).then(|| IdException { name: d.name.clone(), declared: d.id, computed })
    });
    let mut list: Vec<_> = found.chain(schema.builtins().iter().filter_map(builtin_exception)).collect();
    list.sort_by(|a, b| (&a.name, a.declared, a.computed).cmp(&(&b.name, b.declared, b.computed)));
    list
}

fn builtin_exception(builtin: &super::model::Builtin) -> Option<IdException> {
    let declared = builtin.id?;
    let text = format!("{} {}", builtin.name, builtin.rest).replace(['{', '}'], "");
    let computed = crc32fast::hash(text.as_bytes());
    (computed != declared).then(|| IdException { name: builtin.name.clone(), declared, computed })
}

/// Reads a schema file in any layout and returns its canonical text: what `tdl tl import` writes.
///
/// # Errors
/// As [`parse`].
pub fn import(text: &str) -> Result<String, ParseError> {
    Ok(canonical(&parse(text)?))
}

/// The canonical text of a schema: layer, list of id exceptions, what is built in, constructors by type, methods by name. One definition a
/// line, each with an id of eight digits. Importing it again gives the same bytes.
pub fn canonical(schema: &Schema) -> String {
    let mut out = String::new();
    if let Some(layer) = schema.layer() {
        out.push_str(&format!("// LAYER {layer}\n"));
    }
    let exceptions = exceptions(schema);
    if exceptions.is_empty() {
        out.push_str("// Every id is the CRC-32 of its definition.\n");
    } else {
        out.push_str("// Every id is the CRC-32 of its definition, except:\n");
        exceptions.iter().for_each(|e| out.push_str(&format!("//   {e}\n")));
    }

    let mut builtins: Vec<_> = schema.builtins().iter().collect();
    builtins.sort_by(|a, b| (&a.name, &a.rest).cmp(&(&b.name, &b.rest)));
    if !builtins.is_empty() {
        out.push('\n');
    }
    for builtin in builtins {
        let id = builtin.id.map_or_else(String::new, |id| format!("#{id:08x}"));
        out.push_str(&format!("{}{id} {};\n", builtin.name, builtin.rest));
    }

    let mut constructors: Vec<_> = schema.definitions().iter().filter(|d| d.kind == Kind::Constructor).collect();
    constructors.sort_by_cached_key(|d| canonical_order(d));
    let mut functions: Vec<_> = schema.definitions().iter().filter(|d| d.kind == Kind::Function).collect();
    functions.sort_by_cached_key(|d| canonical_order(d));

    for (title, list) in [("types", constructors), ("functions", functions)] {
        out.push_str(&format!("\n---{title}---\n\n"));
        list.iter().for_each(|d| out.push_str(&format!("{d}\n")));
    }
    out
}

/// What definitions of one kind are sorted by in the canonical form: constructors by type, then by name; methods by name. Namespaces count
/// first.
pub fn canonical_order(definition: &Definition) -> [String; 4] {
    let (namespace, name) = definition.split_name();
    let result = match definition.kind {
        Kind::Constructor => definition.result.to_string(),
        Kind::Function => String::new(),
    };
    let (result_namespace, result_name) = split_name(&result);
    [result_namespace, result_name, namespace, name].map(str::to_owned)
}

impl Definition {
    /// The CRC-32 of the definition's text, which is its id unless the file says otherwise. The text is taken without id, `;`, braces and
    /// `flags.N?true` parameters, with `bytes` read as `string` and `Vector<T>` as `Vector T`.
    pub fn computed_id(&self) -> u32 {
        let mut text = self.name.clone();
        for generic in &self.generics {
            text.push_str(&format!(" {generic}:Type"));
        }
        for param in self.params.iter().filter(|p| !p.is_true_flag()) {
            let ty = match param.ty {
                Type::Bytes => "string".to_owned(),
                ref ty => ty.to_string(),
            };
            let flag = param.flag.as_ref().map_or_else(String::new, |f| format!("{}.{}?", f.field, f.bit));
            text.push_str(&format!(" {}:{flag}{ty}", param.name));
        }
        text.push_str(&format!(" = {}", self.result));
        crc32fast::hash(text.replace('<', " ").replace('>', "").as_bytes())
    }
}

impl fmt::Display for Definition {
    /// The definition as a schema line, with id and `;`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:08x}", self.name, self.id)?;
        self.generics.iter().try_for_each(|generic| write!(f, " {{{generic}:Type}}"))?;
        self.params.iter().try_for_each(|param| write!(f, " {param}"))?;
        write!(f, " = {};", self.result)
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        if let Some(flag) = &self.flag {
            write!(f, "{}.{}?", flag.field, flag.bit)?;
        }
        write!(f, "{}", self.ty)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flags => "#",
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Int128 => "int128",
            Self::Int256 => "int256",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::True => "true",
            Self::Bool => "Bool",
            Self::Vector { bare, item } => return write!(f, "{}<{item}>", if *bare { "vector" } else { "Vector" }),
            Self::Boxed(name) | Self::Bare(name) | Self::Variable(name) => name,
            Self::BareBoxed(name) => return write!(f, "%{name}"),
            Self::Call(name) => return write!(f, "!{name}"),
        })
    }
}
