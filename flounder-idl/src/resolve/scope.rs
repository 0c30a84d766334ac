//! Scopes: the types that are visible at one point, and properties of their values.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Diagnostics, Place};
use crate::model::{
    Builtin, Constant, DEFAULT_MAX, DeclaredIn, Field, Name, Traits, Ty, TypeDef, TypeId, TypeKind,
};

use super::path::ModPath;

/// Number of a module of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ModuleId(pub(crate) usize);

/// Identity of a type: the declaring module, and the index of the declaration in that module.
pub(crate) type Origin = (ModuleId, TypeId);

/// Meaning of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// An alias of a builtin type.
    Alias(Ty),
    /// A type.
    Type(TypeId),
    /// A constant of this value.
    Const(i128),
    /// A refused declaration: its uses are not reported.
    Broken,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) meaning: Meaning,
    pub(crate) place: Place,
    pub(crate) module: ModuleId,
}

impl Entry {
    /// Returns true if both are aliases of one type, from different places.
    pub(crate) fn is_agreed_alias(&self, other: &Self) -> bool {
        matches!(self.meaning, Meaning::Alias(_))
            && self.meaning == other.meaning
            && self.module != other.module
    }
}

/// Sizes of a type, for the limits on types and messages that contain it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// Size of the fixed part in bytes, with padding. A part of variable size counts as one word.
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// Nesting depth in declarations.
    pub(crate) depth: u32,
    /// Number of capabilities in a value.
    pub(crate) caps: u64,
    /// Approximate length of the canonical form, in bytes.
    pub(crate) canonical: u64,
    pub(crate) traits: Traits,
}

impl Facts {
    /// Adds a field whose name has this many bytes: what is the same for structs and unions.
    pub(crate) fn add_part(&mut self, part: Self, name: usize) {
        self.depth = self.depth.max(part.depth);
        self.canonical = self.canonical.saturating_add(part.canonical + name as u64 + 2);
        self.traits.copy &= part.traits.copy;
        self.traits.caps |= part.traits.caps;
        self.traits.gives_away |= part.traits.gives_away;
        self.traits.eq &= part.traits.eq;
    }

    /// Returns the properties of a fixed array of `len` such values.
    pub(crate) fn of_array(self, len: u64) -> Self {
        Self {
            size: self.size.saturating_mul(len),
            depth: self.depth + 1,
            caps: self.caps.saturating_mul(len),
            canonical: self.canonical.saturating_add(8),
            ..self
        }
    }
}

/// A type that is made where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Made {
    Array(Ty, u64),
    List(Ty, u32),
    Optional(Ty),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) types: Vec<TypeDef>,
    /// Constants with the modules that declare them.
    pub(crate) constants: Vec<(ModuleId, Constant)>,
    facts: Vec<Facts>,
    origins: Vec<Origin>,
    by_origin: HashMap<Origin, TypeId>,
    /// Types without a declaration.
    made: HashMap<Made, TypeId>,
    /// Rust names of the types, with their names and places in the source.
    rust: HashMap<String, (ModuleId, String, Place)>,
    /// Rust names of the constants, with the modules that declare them and their names in the source.
    rust_constants: HashMap<String, (ModuleId, String)>,
    pub(crate) entries: HashMap<String, Entry>,
    /// Names of `entries` in order of declaration.
    pub(crate) order: Vec<String>,
    /// Modules whose types are visible, and the places of their imports.
    pub(crate) visible_modules: Vec<(ModuleId, ModPath, Place)>,
    /// True if a declaration is missing because of a mistake: an unknown name may mean that declaration.
    pub(crate) damaged: bool,
}

impl Scope {
    /// Declares `name`, unless it is taken. Several aliases with one name are accepted if they have the same builtin type.
    pub(crate) fn declare(
        &mut self,
        name: &str,
        entry: Entry,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        if let Some(first) = self.entries.get(name) {
            if first.is_agreed_alias(&entry) {
                return true;
            }
            let mut diagnostic = Diagnostic::new(
                Code::DuplicateType,
                entry.place,
                match entry.meaning {
                    Meaning::Const(_) => format!("`{name}` is declared twice"),
                    _ => format!("the type `{name}` is declared twice"),
                },
            )
            .label("declared again")
            .also(first.place, "first declared here");
            if let (Meaning::Alias(_), Meaning::Alias(_)) = (first.meaning, entry.meaning) {
                diagnostic = diagnostic.note(if first.module == entry.module {
                    "an alias may be repeated where an import has declared it, not in one place"
                } else {
                    "an alias may be repeated if it stands for the same type"
                });
            }
            diagnostics.push(diagnostic.help("rename one of them"));
            return false;
        }
        self.entries.insert(name.to_owned(), entry);
        self.order.push(name.to_owned());
        true
    }

    /// Adds a type and its properties.
    pub(crate) fn add(
        &mut self,
        def: TypeDef,
        facts: Facts,
        origin: Option<Origin>,
        module: ModuleId,
    ) -> TypeId {
        let id = TypeId(self.types.len());
        let origin = origin.unwrap_or((module, id));
        self.types.push(def);
        self.facts.push(facts);
        self.origins.push(origin);
        self.by_origin.insert(origin, id);
        id
    }

    /// Returns a type that is made where it is used.
    pub(crate) fn make(&mut self, made: Made, module: ModuleId) -> Ty {
        if let Some(&id) = self.made.get(&made) {
            return Ty::Named(id);
        }
        let (kind, facts) = match made {
            Made::Array(elem, len) => {
                (TypeKind::Array { elem, len }, self.facts(elem).of_array(len))
            }
            Made::List(elem, max) => {
                let part = self.facts(elem);
                let facts = Facts {
                    size: 8,
                    align: 8,
                    depth: part.depth + 1,
                    caps: part.caps.saturating_mul(max.into()),
                    canonical: part.canonical.saturating_add(12),
                    traits: Traits { copy: false, ..part.traits },
                };
                (TypeKind::List { elem, max }, facts)
            }
            Made::Optional(value) => {
                let part = self.facts(value);
                let facts = Facts {
                    size: part.size.saturating_add(part.align),
                    depth: part.depth + 1,
                    canonical: part.canonical.saturating_add(1),
                    ..part
                };
                (TypeKind::Optional(value), facts)
            }
        };
        let rust = proc_macro2::Ident::new("__made", proc_macro2::Span::call_site());
        let name = Name { idl: String::new(), span: rust.span(), rust };
        let docs = Vec::new();
        let def = TypeDef { name, docs, kind, declared_in: DeclaredIn::Use, traits: facts.traits };
        let id = self.add(def, facts, None, module);
        self.made.insert(made, id);
        Ty::Named(id)
    }

    /// Reserves the Rust name of a type that is declared at `place`.
    pub(crate) fn claim(
        &mut self,
        def: &TypeDef,
        module: ModuleId,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) {
        let idl = &def.name.idl;
        let rust = def.name.rust.to_string();
        match self.rust.get(&rust) {
            None => {
                self.rust.insert(rust, (module, idl.clone(), place));
            }
            // Two types with one name are reported as duplicates elsewhere.
            Some((_, other, first)) if other != idl => diagnostics.push(
                Diagnostic::new(
                    Code::NameCollision,
                    place,
                    format!("`{other}` and `{idl}` are both `{rust}` in Rust"),
                )
                .also(*first, format!("`{other}` is declared here"))
                .help("write `#[rust_name = \"..\"]` before one of them"),
            ),
            Some(_) => {}
        }
    }

    /// Returns the builtin type that a type is a name for.
    pub(crate) fn builtin(&self, ty: Ty) -> Option<Builtin> {
        match ty {
            Ty::Builtin(builtin) => Some(builtin),
            Ty::Named(id) => match self.types[id.0].kind {
                TypeKind::Alias(old) => self.builtin(old),
                _ => None,
            },
            Ty::String { .. } | Ty::Bulk { .. } => None,
        }
    }

    /// Returns the value of a constant.
    pub(crate) fn constant(&self, name: &str) -> Option<i128> {
        match self.entries.get(name)?.meaning {
            Meaning::Const(value) => Some(value),
            _ => None,
        }
    }

    /// Returns true if the declaration of a name was refused.
    pub(crate) fn is_broken(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.meaning == Meaning::Broken)
    }

    /// Adds a constant, and reserves its Rust name.
    pub(crate) fn add_constant(
        &mut self,
        constant: Constant,
        module: ModuleId,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) {
        let idl = &constant.name.idl;
        let rust = constant.name.rust.to_string();
        match self.rust_constants.get(&rust) {
            Some((_, other)) if other != idl => {
                let text = format!("`{other}` and `{idl}` are both `{rust}` in Rust");
                diagnostics.push(
                    Diagnostic::new(Code::NameCollision, place, text)
                        .help("write `#[rust_name = \"..\"]` before one of them"),
                );
            }
            // Two constants with one name are reported as duplicates elsewhere.
            Some(_) => {}
            None => {
                self.rust_constants.insert(rust, (module, idl.clone()));
                self.constants.push((module, constant));
            }
        }
    }

    pub(crate) fn facts(&self, ty: Ty) -> Facts {
        match ty {
            Ty::Builtin(builtin) => builtin_facts(builtin),
            Ty::String { .. } => Facts {
                size: 8,
                align: 8,
                depth: 0,
                caps: 0,
                canonical: 16,
                traits: Traits { copy: false, caps: false, gives_away: false, eq: true },
            },
            // It may come with a capability.
            Ty::Bulk { .. } => Facts {
                size: 8,
                align: 8,
                depth: 0,
                caps: 1,
                canonical: 16,
                traits: Traits { copy: false, caps: true, gives_away: true, eq: false },
            },
            Ty::Named(id) => self.facts[id.0],
        }
    }

    /// Adds everything visible in `other`, the scope of the module at `path`.
    pub(crate) fn import(
        &mut self,
        module: ModuleId,
        other: &Scope,
        path: &ModPath,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) {
        self.damaged |= other.damaged;
        if self.visible_modules.iter().any(|(id, known, _)| *id == module && known == path) {
            // A scope has all types of a module or none.
            return;
        }
        self.locate(module, path.clone(), place, diagnostics);
        for (dependency, seen_there, _) in &other.visible_modules {
            self.locate(*dependency, seen_there.beside(path), place, diagnostics);
        }
        // Types precede their uses, so one pass is enough.
        let mut map: Vec<TypeId> = Vec::with_capacity(other.types.len());
        for (index, def) in other.types.iter().enumerate() {
            let origin = other.origins[index];
            let id = match self.by_origin.get(&origin) {
                Some(&id) => id,
                None => {
                    let kind = mapped(&def.kind, &map);
                    let declared_in = match &def.declared_in {
                        DeclaredIn::Rust(path) => DeclaredIn::Rust(path.clone()),
                        DeclaredIn::Use => DeclaredIn::Use,
                        DeclaredIn::Here | DeclaredIn::Module(_) => {
                            DeclaredIn::Module(self.path_to(origin.0))
                        }
                    };
                    let taken = self.rust.get(&def.name.rust.to_string());
                    let is_own = taken.is_some_and(|(module, ..)| *module == origin.0);
                    if !is_own && !matches!(declared_in, DeclaredIn::Use) {
                        self.claim(def, origin.0, place, diagnostics);
                    }
                    self.add(
                        TypeDef { kind, declared_in, ..def.clone() },
                        other.facts[index],
                        Some(origin),
                        origin.0,
                    )
                }
            };
            map.push(id);
        }
        for (origin, constant) in &other.constants {
            let known = self.rust_constants.get(&constant.name.rust.to_string());
            if known.is_none_or(|(module, idl)| (module, idl) != (origin, &constant.name.idl)) {
                let ty = mapped_ty(constant.ty, &map);
                let declared_in = DeclaredIn::Module(self.path_to(*origin));
                let constant = Constant { ty, declared_in, ..constant.clone() };
                self.add_constant(constant, *origin, place, diagnostics);
            }
        }
        for name in &other.order {
            let entry = other.entries[name];
            let meaning = match entry.meaning {
                Meaning::Type(id) => Meaning::Type(map[id.0]),
                same => same,
            };
            let entry = Entry { meaning, ..entry };
            let known = self.entries.get(name);
            if !known
                .is_some_and(|known| (known.module, known.meaning) == (entry.module, entry.meaning))
            {
                self.declare(name, entry, diagnostics);
            }
        }
    }

    fn locate(
        &mut self,
        module: ModuleId,
        path: ModPath,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) {
        let known = self.visible_modules.iter().find(|(id, ..)| *id == module);
        match known {
            None => self.visible_modules.push((module, path, place)),
            Some((_, same, _)) if *same == path => {}
            Some((_, _, first)) => diagnostics.push(
                Diagnostic::new(Code::ImportConflict, place, "one file is imported as two modules")
                    .label("imported again")
                    .also(*first, "first imported here")
                    .help("import it with the same `as` everywhere, or without it everywhere"),
            ),
        }
    }

    fn path_to(&self, module: ModuleId) -> proc_macro2::TokenStream {
        let known = self.visible_modules.iter().find(|(id, ..)| *id == module);
        known.map(|(_, path, _)| path.seen_below()).unwrap_or_default()
    }
}

fn mapped_ty(ty: Ty, map: &[TypeId]) -> Ty {
    match ty {
        Ty::Named(id) => Ty::Named(map[id.0]),
        other => other,
    }
}

fn mapped(kind: &TypeKind, map: &[TypeId]) -> TypeKind {
    let ty = |ty| mapped_ty(ty, map);
    let fields = |list: &[Field]| {
        list.iter().cloned().map(|field| Field { ty: ty(field.ty), ..field }).collect()
    };
    match kind {
        TypeKind::Struct(list) => TypeKind::Struct(fields(list)),
        TypeKind::Union(list) => TypeKind::Union(fields(list)),
        TypeKind::Array { elem, len } => TypeKind::Array { elem: ty(*elem), len: *len },
        TypeKind::List { elem, max } => TypeKind::List { elem: ty(*elem), max: *max },
        TypeKind::Optional(value) => TypeKind::Optional(ty(*value)),
        TypeKind::Alias(target) => TypeKind::Alias(ty(*target)),
        TypeKind::Enum(_) | TypeKind::Extern => kind.clone(),
    }
}

/// Returns the builtin type with the name `name`.
pub(crate) fn builtin(name: &str) -> Option<Ty> {
    Some(Ty::Builtin(match name {
        "bool" => Builtin::Bool,
        "char" => Builtin::Char,
        "int8" | "i8" => Builtin::I8,
        "int16" | "i16" => Builtin::I16,
        "int" | "int32" | "i32" => Builtin::I32,
        "int64" | "i64" => Builtin::I64,
        "uint8" | "u8" => Builtin::U8,
        "uint16" | "u16" => Builtin::U16,
        "uint32" | "u32" => Builtin::U32,
        "uint64" | "u64" => Builtin::U64,
        "int128" | "i128" => Builtin::I128,
        "uint128" | "u128" => Builtin::U128,
        "intptr" | "isize" => Builtin::Isize,
        "uintptr" | "size" | "usize" => Builtin::Usize,
        "float" | "f32" => Builtin::F32,
        "double" | "f64" => Builtin::F64,
        "iref" => Builtin::Iref,
        "errval" => Builtin::Errval,
        "cap" => Builtin::Cap,
        "give_away_cap" => Builtin::GiveAwayCap,
        "string" | "String" => return Some(Ty::String { max: DEFAULT_MAX }),
        // The maximum stands behind the name of the argument.
        "bulk" => return Some(Ty::Bulk { max: 0 }),
        _ => return None,
    }))
}

/// Names of the builtin types, for suggestions.
pub(crate) const BUILTIN_NAMES: &[&str] = &[
    "bool",
    "char",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int128",
    "uint128",
    "intptr",
    "uintptr",
    "size",
    "float",
    "double",
    "iref",
    "errval",
    "cap",
    "give_away_cap",
    "string",
    "bulk",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "i128",
    "u128",
    "isize",
    "usize",
    "f32",
    "f64",
];

fn builtin_facts(builtin: Builtin) -> Facts {
    use Builtin::*;
    let size = match builtin {
        Bool | Char | I8 | U8 => 1,
        I16 | U16 => 2,
        I32 | U32 | F32 => 4,
        I64 | U64 | Isize | Usize | F64 | Iref | Errval | Cap | GiveAwayCap => 8,
        I128 | U128 => 16,
    };
    let cap = matches!(builtin, Cap | GiveAwayCap);
    let traits = Traits {
        copy: !cap,
        caps: cap,
        gives_away: builtin == GiveAwayCap,
        eq: !cap && !matches!(builtin, F32 | F64),
    };
    Facts { size, align: size.min(8), depth: 0, caps: u64::from(cap), canonical: 13, traits }
}
