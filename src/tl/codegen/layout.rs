//! What the generator has to know about the schema as a whole: which types recurse, how large values are, which have a default.

use std::collections::{HashMap, HashSet};

use super::super::schema::{Definition, Kind, Schema, Type};

/// Variants whose fields take more bytes than this are boxed. A string and two numbers still fit.
const LARGEST_INLINE: usize = 32;

/// Structs that take more bytes than this are made where they will stay. Smaller ones are moved there, which is less text.
const LARGEST_MOVED: usize = 128;

/// Enums that take more bytes than this do not come back in registers.
const LARGEST_RETURNED: usize = 16;

/// Variants that stay in their enum whatever their size: those of which an answer has a page full. To get a box for each and to give it
/// back would take a third of the time that the whole of it takes.
const NEVER_BOXED: [&str; 1] = ["message"];

/// Facts about the types of a schema.
pub(super) struct Layout<'a> {
    schema: &'a Schema,
    /// Types that can contain themselves, through vectors or not.
    recursive: HashSet<&'a str>,
    /// Constructors boxed in their enum.
    boxed: HashSet<u32>,
    /// Constructors with more fields than should be moved.
    large: HashSet<u32>,
    /// Types of which there are vectors, of several constructors and large enough to be worth making in place.
    items: HashSet<&'a str>,
    /// Constructors and methods all of whose fields have a default.
    default_structs: HashSet<u32>,
    /// The constructor that is the default of its type.
    default_variants: HashMap<&'a str, u32>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let mut layout = Self {
            schema,
            recursive: HashSet::new(),
            boxed: HashSet::new(),
            large: HashSet::new(),
            items: HashSet::new(),
            default_structs: HashSet::new(),
            default_variants: HashMap::new(),
        };
        layout.find_recursion();
        layout.find_boxes();
        layout.find_defaults();
        layout
    }

    pub(super) fn is_recursive(&self, ty: &str) -> bool {
        self.recursive.contains(ty)
    }

    pub(super) fn is_boxed(&self, definition: &Definition) -> bool {
        self.boxed.contains(&definition.id)
    }

    /// Whether the struct of a constructor is so large that it should be made where it will stay.
    pub(super) fn is_large(&self, definition: &Definition) -> bool {
        self.large.contains(&definition.id)
    }

    /// Whether it pays to make values of a type at their place in a vector.
    pub(super) fn is_item(&self, ty: &str) -> bool {
        self.items.contains(ty)
    }

    pub(super) fn has_default(&self, definition: &Definition) -> bool {
        self.default_structs.contains(&definition.id)
    }

    pub(super) fn default_variant(&self, ty: &str) -> Option<u32> {
        self.default_variants.get(ty).copied()
    }

    /// The definition behind `constructor` or `%Type`.
    pub(super) fn bare(&self, ty: &Type) -> Option<&'a Definition> {
        match ty {
            Type::Bare(name) => self.schema.constructor(name),
            Type::BareBoxed(name) => {
                let mut all = self.schema.constructors_of(name);
                all.next().filter(|_| all.next().is_none())
            }
            _ => None,
        }
    }

    /// Types that fields of a definition name directly. Vectors are looked through when asked: they break recursion in memory, not in depth.
    fn mentions(&self, definition: &'a Definition, vectors: bool) -> Vec<&'a str> {
        let mut found = Vec::new();
        for param in &definition.params {
            let mut ty = &param.ty;
            while let (Type::Vector { item, .. }, true) = (ty, vectors) {
                ty = item;
            }
            match ty {
                Type::Boxed(name) => found.push(name.as_str()),
                Type::Bare(_) | Type::BareBoxed(_) => {
                    found.extend(self.bare(ty).into_iter().flat_map(|d| self.mentions(d, vectors)));
                }
                _ => {}
            }
        }
        found
    }

    fn find_recursion(&mut self) {
        let mut edges: HashMap<&str, HashSet<&str>> = HashMap::new();
        for name in self.schema.type_names() {
            let targets = self.schema.constructors_of(name).flat_map(|d| self.mentions(d, true)).collect();
            edges.insert(name, targets);
        }
        for &name in edges.keys() {
            if reaches(&edges, name, name) {
                self.recursive.insert(name);
            }
        }
    }

    fn find_boxes(&mut self) {
        // A constructor that leads back to its own type without a vector in between must be boxed, whatever its size. After that every
        // size is finite.
        let mut edges: HashMap<&str, HashSet<&str>> = HashMap::new();
        for name in self.schema.type_names() {
            edges.insert(name, self.schema.constructors_of(name).flat_map(|d| self.mentions(d, false)).collect());
        }
        for definition in self.constructors() {
            let Type::Boxed(own) = &definition.result else { continue };
            let targets = self.mentions(definition, false);
            if targets.iter().any(|t| t == own || reaches(&edges, t, own)) {
                self.boxed.insert(definition.id);
            }
        }
        let mut sizes = HashMap::new();
        for definition in self.constructors() {
            let size = self.struct_size(definition, &mut sizes);
            if size > LARGEST_INLINE && !never_boxed(definition) {
                self.boxed.insert(definition.id);
            }
            if size > LARGEST_MOVED {
                self.large.insert(definition.id);
            }
        }
        for param in self.schema.definitions().iter().flat_map(|d| &d.params) {
            if let Type::Vector { item, .. } = &param.ty
                && let Type::Boxed(name) = &**item
                && self.schema.constructors_of(name).nth(1).is_some()
                && self.enum_size(name, &mut sizes) > LARGEST_RETURNED
            {
                self.items.insert(name);
            }
        }
    }

    fn constructors(&self) -> impl Iterator<Item = &'a Definition> + use<'a> {
        self.schema.definitions().iter().filter(|d| d.kind == Kind::Constructor)
    }

    /// Size in bytes of the struct of a constructor, about as the compiler lays it out.
    fn struct_size(&self, definition: &'a Definition, sizes: &mut HashMap<&'a str, usize>) -> usize {
        let sum: usize = definition.params.iter().map(|p| self.size(&p.ty, p.flag.is_some(), sizes)).sum();
        if sum < 8 { sum } else { sum.next_multiple_of(8) }
    }

    fn enum_size(&self, name: &'a str, sizes: &mut HashMap<&'a str, usize>) -> usize {
        if let Some(size) = sizes.get(name) {
            return *size;
        }
        let mut largest = 0;
        for definition in self.schema.constructors_of(name) {
            let inline = if self.boxed.contains(&definition.id) { 8 } else { self.struct_size(definition, sizes) };
            largest = largest.max(if inline > LARGEST_INLINE && !never_boxed(definition) { 8 } else { inline });
        }
        sizes.insert(name, largest + 8);
        largest + 8
    }

    fn size(&self, ty: &'a Type, optional: bool, sizes: &mut HashMap<&'a str, usize>) -> usize {
        match ty {
            Type::Flags => 0,
            Type::True | Type::Bool => 1,
            Type::Int => 4 + if optional { 4 } else { 0 },
            Type::Long | Type::Double => 8 + if optional { 8 } else { 0 },
            Type::Int128 => 16 + usize::from(optional),
            Type::Int256 => 32 + usize::from(optional),
            Type::String => 16,
            Type::Bytes => 32,
            Type::Vector { .. } => 24,
            Type::Boxed(name) => self.enum_size(name, sizes),
            Type::Bare(_) | Type::BareBoxed(_) => self.bare(ty).map_or(0, |d| self.struct_size(d, sizes)),
            Type::Variable(_) | Type::Call(_) => 32,
        }
    }

    /// Gives every type a default that can have one: a constructor without fields called "…Empty", else one without fields, else the
    /// first whose fields have defaults. A default found in an earlier round never depends on one of a later round, so none is circular.
    fn find_defaults(&mut self) {
        loop {
            let mut news: Vec<u32> = Vec::new();
            for definition in self.schema.definitions() {
                let known = self.default_structs.contains(&definition.id);
                if !known
                    && definition.generics.is_empty()
                    && definition.params.iter().all(|p| p.flag.is_some() || self.defaults(&p.ty))
                {
                    news.push(definition.id);
                }
            }
            let before = self.default_variants.len();
            self.default_structs.extend(&news);
            for name in self.schema.type_names() {
                if self.default_variants.contains_key(name) {
                    continue;
                }
                let candidates = self.schema.constructors_of(name).filter(|d| self.default_structs.contains(&d.id));
                let best = candidates.min_by_key(|d| (!d.params.is_empty(), !d.name.ends_with("Empty")));
                if let Some(best) = best {
                    self.default_variants.insert(name, best.id);
                }
            }
            if news.is_empty() && before == self.default_variants.len() {
                return;
            }
        }
    }

    fn defaults(&self, ty: &Type) -> bool {
        match ty {
            Type::Boxed(name) => self.default_variants.contains_key(name.as_str()),
            Type::Bare(_) | Type::BareBoxed(_) => self.bare(ty).is_some_and(|d| self.default_structs.contains(&d.id)),
            Type::Variable(_) | Type::Call(_) => false,
            _ => true,
        }
    }
}

fn never_boxed(definition: &Definition) -> bool {
    NEVER_BOXED.contains(&definition.name.as_str())
}

/// Whether a path of at least one edge leads from one type to another.
fn reaches(edges: &HashMap<&str, HashSet<&str>>, from: &str, to: &str) -> bool {
    let mut seen = HashSet::new();
    let mut stack = vec![from];
    while let Some(at) = stack.pop() {
        for &next in edges.get(at).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                stack.push(next);
            }
        }
    }
    false
}
