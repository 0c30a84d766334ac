//! The types that can be named at one point, and what is known about their values.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Diagnostics, Place};
use crate::model::{Builtin, DEFAULT_MAX, Home, Traits, Ty, TypeDef, TypeId, TypeKind};

use super::path::ModPath;

/// The number of a module of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ModuleId(pub(crate) usize);

/// What makes two types one: where they are declared, and under which number there.
pub(crate) type Origin = (ModuleId, TypeId);

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// An alias of a builtin type.
    Alias(Ty),
    /// A type.
    Type(TypeId),
    /// A declaration that was refused: its uses are not to blame.
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

/// Sizes of a type that bound what can be built from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// Bytes of its fixed part, padding included; what varies counts as one word.
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// How many declarations deep it is nested.
    pub(crate) depth: u32,
    /// How many capabilities a value holds.
    pub(crate) caps: u64,
    /// About how long its canonical form is.
    pub(crate) canonical: u64,
    pub(crate) traits: Traits,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) types: Vec<TypeDef>,
    facts: Vec<Facts>,
    origins: Vec<Origin>,
    by_origin: HashMap<Origin, TypeId>,
    /// The Rust names of the types, with the names and places they come from.
    rust: HashMap<String, (ModuleId, String, Place)>,
    pub(crate) entries: HashMap<String, Entry>,
    /// The names of `entries`, in order of declaration.
    pub(crate) order: Vec<String>,
    /// Modules whose types are in this scope, and the places that name them.
    pub(crate) homes: Vec<(ModuleId, ModPath, Place)>,
    /// Something is missing that a name might stand for.
    pub(crate) damaged: bool,
}

impl Scope {
    /// Declares `name`, unless it is taken. An alias of a builtin type may come from several places that agree on the type.
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
                format!("the type `{name}` is declared twice"),
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

    /// Adds a type and its facts.
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

    /// Takes the Rust name of a type that `place` adds.
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
            // A type of one name is a duplicate, and reported as that.
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
            Ty::Named(id) => self.facts[id.0],
        }
    }

    /// Makes everything that can be named in `other`, which lies at `path`, known here.
    pub(crate) fn import(
        &mut self,
        module: ModuleId,
        other: &Scope,
        path: &ModPath,
        place: Place,
        diagnostics: &mut Diagnostics,
    ) {
        self.damaged |= other.damaged;
        if self.homes.iter().any(|(id, known, _)| *id == module && known == path) {
            // Whatever is known of a module, all of it is.
            return;
        }
        self.locate(module, path.clone(), place, diagnostics);
        for (dependency, seen_there, _) in &other.homes {
            self.locate(*dependency, seen_there.beside(path), place, diagnostics);
        }
        // Types precede their uses, so that one pass maps them all.
        let mut map: Vec<TypeId> = Vec::with_capacity(other.types.len());
        for (index, def) in other.types.iter().enumerate() {
            let origin = other.origins[index];
            let id = match self.by_origin.get(&origin) {
                Some(&id) => id,
                None => {
                    let kind = mapped(&def.kind, &map);
                    let home = match &def.home {
                        Home::Rust(path) => Home::Rust(path.clone()),
                        Home::Here | Home::Module(_) => Home::Module(self.home(origin.0)),
                    };
                    let taken = self.rust.get(&def.name.rust.to_string());
                    if !taken.is_some_and(|(module, ..)| *module == origin.0) {
                        self.claim(def, origin.0, place, diagnostics);
                    }
                    self.add(
                        TypeDef { kind, home, ..def.clone() },
                        other.facts[index],
                        Some(origin),
                        origin.0,
                    )
                }
            };
            map.push(id);
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
        let known = self.homes.iter().find(|(id, ..)| *id == module);
        match known {
            None => self.homes.push((module, path, place)),
            Some((_, same, _)) if *same == path => {}
            Some((_, _, first)) => diagnostics.push(
                Diagnostic::new(Code::ImportConflict, place, "one file is imported as two modules")
                    .label("imported again")
                    .also(*first, "first imported here")
                    .help("import it with the same `as` everywhere, or without it everywhere"),
            ),
        }
    }

    fn home(&self, module: ModuleId) -> proc_macro2::TokenStream {
        let known = self.homes.iter().find(|(id, ..)| *id == module);
        known.map(|(_, path, _)| path.seen_below()).unwrap_or_default()
    }
}

fn mapped(kind: &TypeKind, map: &[TypeId]) -> TypeKind {
    let ty = |ty: Ty| match ty {
        Ty::Named(id) => Ty::Named(map[id.0]),
        other => other,
    };
    match kind {
        TypeKind::Struct(fields) => {
            let fields = fields.iter().cloned();
            TypeKind::Struct(
                fields.map(|field| crate::model::Field { ty: ty(field.ty), ..field }).collect(),
            )
        }
        TypeKind::Array { elem, len } => TypeKind::Array { elem: ty(*elem), len: *len },
        TypeKind::Alias(target) => TypeKind::Alias(ty(*target)),
        TypeKind::Enum(_) | TypeKind::Extern => kind.clone(),
    }
}

/// The builtin type called `name`.
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
        "intptr" | "isize" => Builtin::Isize,
        "uintptr" | "size" | "usize" => Builtin::Usize,
        "float" | "f32" => Builtin::F32,
        "double" | "f64" => Builtin::F64,
        "iref" => Builtin::Iref,
        "errval" => Builtin::Errval,
        "cap" => Builtin::Cap,
        "give_away_cap" => Builtin::GiveAwayCap,
        "string" | "String" => return Some(Ty::String { max: DEFAULT_MAX }),
        _ => return None,
    }))
}

/// The names of the builtin types, for suggestions.
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
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
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
    };
    let cap = matches!(builtin, Cap | GiveAwayCap);
    let traits = Traits {
        copy: !cap,
        caps: cap,
        gives_away: builtin == GiveAwayCap,
        eq: !cap && !matches!(builtin, F32 | F64),
    };
    Facts { size, align: size, depth: 0, caps: u64::from(cap), canonical: 13, traits }
}
