//! Writing the Rust text.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::super::schema::{Definition, Kind, Schema, Type, split_name};
use super::layout::Layout;
use super::{CodegenError, names, read, write};

/// The head of a method of `w::D`.
const READ_INTO: &str = "#[inline] fn read_into<'a>(r: &mut w::R, f: impl FnOnce(Self) -> Option<&'a mut Self>) where Self: 'a";

type Result<T> = std::result::Result<T, CodegenError>;

/// Text by namespace; the empty one is the section itself.
type Section<'a> = BTreeMap<&'a str, String>;

pub(super) struct Emitter<'a> {
    schema: &'a Schema,
    root: &'a str,
    layout: Layout<'a>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(schema: &'a Schema, root: &'a str) -> Self {
        Self { schema, root, layout: Layout::new(schema) }
    }

    pub(super) fn emit(&self) -> Result<String> {
        let mut types = Section::new();
        let mut functions = Section::new();
        let mut taken = HashSet::new();
        for definition in self.schema.definitions() {
            let path = names::path(&definition.name);
            if !taken.insert((definition.kind, path.clone())) {
                return Err(CodegenError::NameClash { definition: definition.name.clone(), name: path });
            }
            let namespace = definition.split_name().0;
            match (definition.kind, &definition.result) {
                // `Bool` is `bool`, and known to the wire.
                (Kind::Constructor, Type::Bool) => {}
                (Kind::Constructor, Type::Boxed(_)) => self.constructor(definition, types.entry(namespace).or_default())?,
                (Kind::Constructor, _) => return Err(unsupported(definition, &definition.result)),
                (Kind::Function, _) => self.function(definition, functions.entry(namespace).or_default())?,
            }
        }
        let mut enums = Section::new();
        for name in self.schema.type_names() {
            if name != "Bool" {
                self.enumeration(name, enums.entry(split_name(name).0).or_default())?;
            }
        }
        let mut out = String::new();
        if let Some(layer) = self.schema.layer() {
            let _ = writeln!(out, "/// The layer of this schema.\npub const LAYER: i32 = {layer};\n");
        }
        self.section(
            &mut out,
            "types",
            "Constructors, each a struct. Their bytes are the fields alone, without an id.",
            &types,
        );
        self.section(
            &mut out,
            "enums",
            "Types, each an enum of its constructors. Their bytes begin with the constructor's id.",
            &enums,
        );
        self.section(
            &mut out,
            "functions",
            "Methods, each a struct of its arguments. Their bytes begin with the method's id.",
            &functions,
        );
        Ok(out)
    }

    fn section(&self, out: &mut String, name: &str, doc: &str, section: &Section<'_>) {
        let imports = format!("use crate::generated as w; use {root}::{{enums as e, types as t}};\n", root = self.root);
        let _ = write!(out, "/// {doc}\npub mod {name} {{\n{imports}");
        for (namespace, text) in section {
            if namespace.is_empty() {
                out.push_str(text);
            } else {
                let _ =
                    write!(out, "/// Namespace `{namespace}`.\npub mod {} {{\n{imports}{text}}}\n", names::module(namespace));
            }
        }
        out.push_str("}\n");
    }

    /// Struct, reading and writing of a constructor.
    fn constructor(&self, definition: &Definition, out: &mut String) -> Result<()> {
        let name = names::camel(&definition.name);
        self.structure(definition, &name, out)?;
        let write = write::fields(definition);
        let (reader, writer) = if definition.params.is_empty() { ("_", "_") } else { ("r", "o") };
        // What is large is made where it will stay.
        let (read, in_place) = match (self.layout.is_large(definition), self.layout.is_boxed(definition)) {
            (true, true) => {
                let method = format!(" #[inline] fn read_boxed(r: &mut w::R) -> Box<Self> {{ {} }}", read::in_box(definition));
                ("*Self::read_boxed(r)".to_owned(), method)
            }
            (true, false) => (read::by_value(definition), format!(" {READ_INTO} {{ {} }}", read::into(definition))),
            (false, _) => (read::by_value(definition), String::new()),
        };
        let _ = write!(
            out,
            "impl w::S for {name} {{ #[inline] fn serialize(&self, {writer}: &mut w::O) {{ {write} }} }}\n\
             impl w::D for {name} {{ #[inline] fn read({reader}: &mut w::R) -> Self {{ {read} }}{in_place} }}\n\
             impl w::I for {name} {{ const ID: u32 = {id:#010x}; const NAME: &'static str = {tl:?}; }}\n\
             impl w::Debug for {name} {{ #[inline] fn fmt(&self, f: &mut w::F) -> w::FR {{ w::debug_bare(self, f) }} }}\n\
             impl PartialEq for {name} {{ #[inline] fn eq(&self, other: &Self) -> bool {{ w::same(self, other) }} }}\n",
            id = definition.id,
            tl = definition.name,
        );
        Ok(())
    }

    /// Struct, reading, writing and result of a method.
    fn function(&self, definition: &Definition, out: &mut String) -> Result<()> {
        let name = names::camel(&definition.name);
        self.structure(definition, &name, out)?;
        let (read, write) = (read::by_value(definition), write::fields(definition));
        let id = definition.id;
        let bounds = |bound: &str| match definition.generics.as_slice() {
            [] => String::new(),
            list => format!("<{}>", list.iter().map(|g| format!("{g}{bound}")).collect::<Vec<_>>().join(", ")),
        };
        let this = format!("{name}{}", bounds(""));
        let returns = match &definition.result {
            Type::Variable(variable) => format!("{variable}::Return"),
            ty => self.rust_type(definition, ty)?,
        };
        let _ = write!(
            out,
            "impl{s} w::S for {this} {{ #[inline] fn serialize(&self, o: &mut w::O) {{ w::u32(o, {id:#010x}); {write} }} }}\n\
             impl{d} w::D for {this} {{ #[inline] fn read(r: &mut w::R) -> Self {{ w::id::<Self>(r); {read} }} }}\n\
             impl{a} w::I for {this} {{ const ID: u32 = {id:#010x}; const NAME: &'static str = {tl:?}; }}\n\
             impl{c} w::C for {this} {{ type Return = {returns}; }}\n\
             impl{s} w::Debug for {this} {{ #[inline] fn fmt(&self, f: &mut w::F) -> w::FR {{ w::debug(self, f) }} }}\n\
             impl{s} PartialEq for {this} {{ #[inline] fn eq(&self, other: &Self) -> bool {{ w::same(self, other) }} }}\n",
            s = bounds(": w::S"),
            d = bounds(": w::D"),
            c = bounds(": w::C"),
            a = bounds(""),
            tl = definition.name,
        );
        Ok(())
    }

    fn structure(&self, definition: &Definition, name: &str, out: &mut String) -> Result<()> {
        let generics = match definition.generics.as_slice() {
            [] => String::new(),
            list => format!("<{}>", list.join(", ")),
        };
        if self.layout.has_default(definition) {
            // One call instead of a derived body with one a field.
            let _ = writeln!(out, "impl Default for {name} {{ #[inline] fn default() -> Self {{ w::zero() }} }}");
        }
        let _ = write!(out, "/// `{definition}`\n#[derive(Clone)]\npub struct {name}{generics}");
        if definition.params.is_empty() {
            out.push_str(";\n");
            return Ok(());
        }
        out.push_str(" {");
        let mut taken = HashSet::new();
        for param in definition.params.iter().filter(|p| p.ty != Type::Flags) {
            let field = names::field(&param.name);
            if !taken.insert(field.clone()) {
                return Err(CodegenError::NameClash { definition: definition.name.clone(), name: field });
            }
            let ty = self.rust_type(definition, &param.ty)?;
            let _ = match (&param.flag, &param.ty) {
                (Some(_), Type::True) => write!(out, " pub {field}: bool,"),
                (Some(_), _) => write!(out, " pub {field}: Option<{ty}>,"),
                (None, Type::True) => return Err(unsupported(definition, &param.ty)),
                (None, _) => write!(out, " pub {field}: {ty},"),
            };
        }
        out.push_str(" }\n");
        Ok(())
    }

    /// The enum of a type.
    fn enumeration(&self, type_name: &str, out: &mut String) -> Result<()> {
        let name = names::camel(type_name);
        let recursive = self.layout.is_recursive(type_name);
        let within = |text: &str| {
            if recursive { format!("r.enter(); let x = {text}; r.leave(); x") } else { text.to_owned() }
        };
        let item = self.layout.is_item(type_name);
        let value = |text: &str| if item { format!("f({text})") } else { text.to_owned() };
        let default = self.layout.default_variant(type_name);
        let (mut variants, mut read, mut write, mut from) = (String::new(), String::new(), String::new(), String::new());
        let mut list = Vec::new();
        let mut taken = HashSet::new();
        let (mut spoilt, mut in_place) = (None, String::new());
        for definition in self.schema.constructors_of(type_name) {
            let variant = names::variant(definition);
            if !taken.insert(variant.clone()) {
                return Err(CodegenError::NameClash { definition: definition.name.clone(), name: variant });
            }
            let (id, path) = (definition.id, format!("t::{}", names::path(&definition.name)));
            list.push(format!("`{}`", definition.name));
            let _ = writeln!(variants, "/// `{}`", definition.name);
            let (into, wrap) = if definition.params.is_empty() {
                let _ = writeln!(variants, "{variant},");
                let _ = write!(read, "{id:#010x} => {}, ", value(&format!("Self::{variant}")));
                let _ = write!(write, "Self::{variant} => w::u32(o, {id:#010x}), ");
                ("_", format!("Self::{variant}"))
            } else if self.layout.is_boxed(definition) {
                let _ = writeln!(variants, "{variant}(Box<{path}>),");
                let _ = write!(read, "{id:#010x} => {}, ", value(&format!("Self::{variant}(w::d(r))")));
                let _ = write!(write, "Self::{variant}(x) => w::object(o, {id:#010x}, &**x), ");
                ("x", format!("Self::{variant}(Box::new(x))"))
            } else {
                let _ = writeln!(variants, "{variant}({path}),");
                let _ = write!(read, "{id:#010x} => {}, ", value(&format!("Self::{variant}(w::d(r))")));
                let _ = write!(write, "Self::{variant}(x) => w::object(o, {id:#010x}, x), ");
                ("x", format!("Self::{variant}(x)"))
            };
            if self.layout.is_large(definition) && !self.layout.is_boxed(definition) {
                let found = format!("Some(Self::{variant}(x)) => Some(x), _ => None");
                let found = within(&format!("{path}::read_into(r, |x| match f(Self::{variant}(x)) {{ {found} }})"));
                let other = "Self::read_with(r, |x| { f(x); })";
                let _ = write!(in_place, " {READ_INTO} {{ if r.next_is({id:#010x}) {{ {found} }} else {{ {other} }} }}");
            }
            if default == Some(id) {
                spoilt = Some(format!("Self::{variant}{}", if definition.params.is_empty() { "" } else { "(w::d(r))" }));
            }
            let _ = writeln!(from, "impl From<{path}> for {name} {{ #[inline] fn from({into}: {path}) -> Self {{ {wrap} }} }}");
        }
        // What a spoilt reader gives: its zeros end in this variant at every level, so reading comes to an end.
        let spoilt = spoilt.ok_or_else(|| CodegenError::NoFiniteValue { ty: type_name.to_owned() })?;
        let choice =
            within(&format!("match r.next_u32() {{ {read}id => {{ w::unknown(r, id, {type_name:?}); {} }} }}", value(&spoilt)));
        let read = if item {
            format!(
                "w::own(r) }} #[inline] fn read_with<T>(r: &mut w::R, f: impl FnOnce(Self) -> T) -> T {{ {choice} }}{in_place}"
            )
        } else {
            format!("{choice} }}")
        };
        let _ = write!(
            out,
            "/// `{type_name}`: {list}.\n#[derive(Clone)]\npub enum {name} {{\n{variants}}}\n\
             impl w::S for {name} {{ #[inline] fn serialize(&self, o: &mut w::O) {{ match self {{ {write}}} }} }}\n\
             impl w::D for {name} {{ #[inline] fn read(r: &mut w::R) -> Self {{ {read} }}\n\
             impl w::Debug for {name} {{ #[inline] fn fmt(&self, f: &mut w::F) -> w::FR {{ w::debug(self, f) }} }}\n\
             impl PartialEq for {name} {{ #[inline] fn eq(&self, other: &Self) -> bool {{ w::same(self, other) }} }}\n\
             impl Default for {name} {{ #[inline] fn default() -> Self {{ w::zero() }} }}\n{from}",
            list = list.join(", "),
        );
        Ok(())
    }

    /// A type in a field, without `Option`.
    fn rust_type(&self, definition: &Definition, ty: &Type) -> Result<String> {
        Ok(match ty {
            Type::Flags => return Err(unsupported(definition, ty)),
            Type::Int => "i32".to_owned(),
            Type::Long => "i64".to_owned(),
            Type::Double => "f64".to_owned(),
            Type::Int128 => "[u8; 16]".to_owned(),
            Type::Int256 => "[u8; 32]".to_owned(),
            Type::String => "w::Str".to_owned(),
            Type::Bytes => "w::Bytes".to_owned(),
            Type::True | Type::Bool => "bool".to_owned(),
            Type::Vector { item, .. } => {
                // The type of the elements decides how they are read, so a vector without an id has no type of its own.
                if matches!(**item, Type::Vector { bare: true, .. } | Type::True) {
                    return Err(unsupported(definition, ty));
                }
                format!("Vec<{}>", self.rust_type(definition, item)?)
            }
            Type::Boxed(name) => {
                if self.schema.constructors_of(name).next().is_none() {
                    return Err(CodegenError::UnknownType { definition: definition.name.clone(), ty: name.clone() });
                }
                format!("e::{}", names::path(name))
            }
            Type::Bare(_) | Type::BareBoxed(_) => {
                let target = self.layout.bare(ty);
                let unknown = || CodegenError::UnknownType { definition: definition.name.clone(), ty: ty.to_string() };
                format!("t::{}", names::path(&target.ok_or_else(unknown)?.name))
            }
            Type::Variable(name) | Type::Call(name) => name.clone(),
        })
    }
}

fn unsupported(definition: &Definition, ty: &Type) -> CodegenError {
    CodegenError::Unsupported { definition: definition.name.clone(), ty: ty.to_string() }
}
