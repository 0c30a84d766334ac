//! The declared types: structs, enumerations, arrays and aliases, each with its wire traits.

use flounder_idl::model::{
    Builtin, Constant, DeclaredIn, Element, Field, Ty, TypeDef, TypeId, TypeKind,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::docs;
use crate::rt::{Rt, from_module};
use crate::wire::{Body, Member, Variant, WireType, wire_traits};

/// The types that an interface can name, and what the generator needs to know of them.
pub(crate) struct Types<'a> {
    pub(crate) defs: &'a [TypeDef],
    facts: Vec<Facts>,
    rt: Rt,
}

/// What the model leaves to rustc for types from Rust, taken at its worst; and what follows from it.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    /// Holds a type from Rust: nothing is known of it.
    foreign: bool,
    /// Has a tail on the wire, or may have one.
    tail: bool,
    /// Holds capabilities, or may do so.
    caps: bool,
    /// Size and alignment of the fixed part; of a type from Rust, rustc alone knows them.
    place: Option<Place>,
}

/// Size and alignment in bytes.
pub(crate) type Place = (u64, u64);

/// What a type in use comes down to behind aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A builtin that is neither string nor capability.
    Scalar(Builtin),
    /// A string of at most so many bytes.
    Text(u32),
    /// Bulk data of at most so many bytes.
    Bulk(u32),
    /// A capability to copy.
    Cap,
    /// A capability to move.
    GiveAwayCap,
    /// An enumeration.
    Enum,
    /// A struct, a union, an array, an optional value or a type from Rust.
    Value(TypeId),
}

impl<'a> Types<'a> {
    pub(crate) fn new(defs: &'a [TypeDef], rt: &Rt) -> Self {
        let mut types = Self { defs, facts: Vec::with_capacity(defs.len()), rt: rt.clone() };
        // A declaration names earlier ones only, so that their facts are there.
        for def in defs {
            let facts = match &def.kind {
                TypeKind::Struct(fields) => {
                    let fields: Vec<_> = fields.iter().map(|field| types.facts(field.ty)).collect();
                    let place = record(fields.iter().map(|field| field.place));
                    Facts { place, ..fields.into_iter().fold(Facts::default(), Facts::or) }
                }
                TypeKind::Union(fields) => {
                    let fields = fields.iter().map(|field| types.facts(field.ty));
                    let facts = fields.fold(Facts::default(), Facts::or);
                    Facts { tail: true, place: Some((4, 4)), ..facts }
                }
                TypeKind::Enum(_) => Facts { place: Some((4, 4)), ..Facts::default() },
                TypeKind::Array { elem, len } => {
                    let facts = types.facts(*elem);
                    let place = facts.place.map(|(size, align)| (size * len, align));
                    Facts { place, ..facts }
                }
                TypeKind::List { elem, .. } => {
                    let facts = types.facts(*elem);
                    Facts { tail: true, place: Some((4, 4)), ..facts }
                }
                TypeKind::Optional(value) => {
                    let facts = types.facts(*value);
                    Facts { place: facts.place.map(optional), ..facts }
                }
                TypeKind::Alias(ty) => types.facts(*ty),
                TypeKind::Extern => Facts { foreign: true, tail: true, caps: true, place: None },
            };
            types.facts.push(facts);
        }
        types
    }

    fn facts(&self, ty: Ty) -> Facts {
        match ty {
            Ty::Builtin(Builtin::Cap | Builtin::GiveAwayCap) => {
                Facts { caps: true, place: Some((0, 1)), ..Facts::default() }
            }
            Ty::Builtin(builtin) => {
                let size = size(builtin);
                Facts { place: Some((size, size.min(8))), ..Facts::default() }
            }
            Ty::String { .. } => Facts { tail: true, place: Some((4, 4)), ..Facts::default() },
            Ty::Bulk { .. } => {
                Facts { tail: true, caps: true, place: Some((8, 8)), ..Facts::default() }
            }
            Ty::Named(id) => self.facts[id.0],
        }
    }

    /// Size and alignment of the fixed part, unless rustc alone knows them.
    pub(crate) fn place(&self, ty: Ty) -> Option<Place> {
        self.facts(ty).place
    }

    /// Returns true if values hold capabilities, or may do so.
    pub(crate) fn has_caps(&self, ty: Ty) -> bool {
        self.facts(ty).caps
    }

    /// Returns true if the Rust type is known to have `Debug`: declared types derive it, and need it of their fields.
    pub(crate) fn has_debug(&self, ty: Ty) -> bool {
        let Ty::Named(id) = ty else { return true };
        match &self.defs[id.0].kind {
            TypeKind::Struct(_) | TypeKind::Union(_) | TypeKind::Enum(_) => true,
            TypeKind::Array { elem, .. } | TypeKind::List { elem, .. } => self.has_debug(*elem),
            TypeKind::Optional(value) => self.has_debug(*value),
            TypeKind::Alias(old) => self.has_debug(*old),
            TypeKind::Extern => false,
        }
    }

    /// Looks behind aliases.
    pub(crate) fn form(&self, ty: Ty) -> Form {
        match ty {
            Ty::Builtin(Builtin::Cap) => Form::Cap,
            Ty::Builtin(Builtin::GiveAwayCap) => Form::GiveAwayCap,
            Ty::Builtin(builtin) => Form::Scalar(builtin),
            Ty::String { max } => Form::Text(max),
            Ty::Bulk { max } => Form::Bulk(max),
            Ty::Named(id) => match &self.defs[id.0].kind {
                TypeKind::Alias(old) => self.form(*old),
                TypeKind::Enum(_) => Form::Enum,
                _ => Form::Value(id),
            },
        }
    }

    /// The Rust type that owns a value.
    pub(crate) fn owned(&self, ty: Ty) -> TokenStream {
        let rt = &self.rt;
        match ty {
            Ty::Builtin(builtin) => scalar(builtin, rt),
            Ty::String { .. } => quote!(#rt::String),
            Ty::Bulk { .. } => quote!(#rt::BulkOwned),
            Ty::Named(id) => match (&self.defs[id.0].declared_in, &self.defs[id.0].kind) {
                (DeclaredIn::Use, TypeKind::Array { elem, len }) => {
                    let (elem, len) =
                        (self.owned(*elem), proc_macro2::Literal::u64_unsuffixed(*len));
                    quote!([#elem; #len])
                }
                (DeclaredIn::Use, TypeKind::List { elem, .. }) => {
                    let elem = self.owned(*elem);
                    quote!(#rt::Vec<#elem>)
                }
                (DeclaredIn::Use, TypeKind::Optional(value)) => {
                    let value = self.owned(*value);
                    quote!(#rt::Option<#value>)
                }
                _ => self.defs[id.0].name.rust.to_token_stream(),
            },
        }
    }

    /// The type of the value, if this is that of an optional one.
    pub(crate) fn optional(&self, ty: Ty) -> Option<Ty> {
        match self.kind(ty)? {
            TypeKind::Optional(value) => Some(*value),
            _ => None,
        }
    }

    /// The element and the maximum of a dynamic array.
    pub(crate) fn list(&self, ty: Ty) -> Option<(Ty, u32)> {
        match self.kind(ty)? {
            TypeKind::List { elem, max } => Some((*elem, *max)),
            _ => None,
        }
    }

    fn kind(&self, ty: Ty) -> Option<&'a TypeKind> {
        match ty {
            Ty::Named(id) => Some(&self.defs[id.0].kind),
            _ => None,
        }
    }

    /// The maximum that a member is held to, if it is not that of its Rust type anyway.
    fn bound(&self, ty: Ty) -> Option<u32> {
        let max = match (self.optional(ty), self.list(ty), self.form(ty)) {
            (Some(value), ..) => return self.bound(value),
            (_, Some((_, max)), _) | (_, _, Form::Text(max)) => max,
            _ => return None,
        };
        (max != flounder_idl::model::DEFAULT_MAX).then_some(max)
    }
}

impl Facts {
    fn or(self, other: Self) -> Self {
        Self {
            foreign: self.foreign | other.foreign,
            tail: self.tail | other.tail,
            caps: self.caps | other.caps,
            place: None,
        }
    }
}

/// Size and alignment of an optional value of this size and alignment.
pub(crate) fn optional((size, align): Place) -> Place {
    (align + size, align)
}

/// Size and alignment of a record of such members, if all are known: the rule of `Record` in the runtime, which compares.
pub(crate) fn record(members: impl Iterator<Item = Option<Place>>) -> Option<Place> {
    let members: Vec<Place> = members.collect::<Option<_>>()?;
    let align = members.iter().map(|(_, align)| *align).max().unwrap_or(1);
    // From the largest alignment to the smallest there are no gaps.
    let size: u64 = members.iter().map(|(size, _)| *size).sum();
    Some((size.next_multiple_of(align), align))
}

/// Bytes of a number on the wire. They are its alignment, too, which is 8 at most.
const fn size(builtin: Builtin) -> u64 {
    match builtin {
        Builtin::Bool | Builtin::Char | Builtin::U8 | Builtin::I8 => 1,
        Builtin::U16 | Builtin::I16 => 2,
        Builtin::U32 | Builtin::I32 | Builtin::F32 => 4,
        Builtin::U64 | Builtin::I64 | Builtin::F64 => 8,
        Builtin::I128 | Builtin::U128 => 16,
        Builtin::Isize | Builtin::Usize | Builtin::Iref | Builtin::Errval => 8,
        Builtin::Cap | Builtin::GiveAwayCap => 0,
    }
}

fn scalar(builtin: Builtin, rt: &Rt) -> TokenStream {
    match builtin {
        Builtin::Bool => quote!(bool),
        Builtin::Char | Builtin::U8 => quote!(u8),
        Builtin::I8 => quote!(i8),
        Builtin::I16 => quote!(i16),
        Builtin::I32 => quote!(i32),
        Builtin::I64 => quote!(i64),
        Builtin::U16 => quote!(u16),
        Builtin::U32 => quote!(u32),
        Builtin::U64 => quote!(u64),
        Builtin::I128 => quote!(i128),
        Builtin::U128 => quote!(u128),
        Builtin::Isize => quote!(isize),
        Builtin::Usize => quote!(usize),
        Builtin::F32 => quote!(f32),
        Builtin::F64 => quote!(f64),
        Builtin::Iref => quote!(#rt::Iref),
        Builtin::Errval => quote!(#rt::Errval),
        Builtin::Cap | Builtin::GiveAwayCap => quote!(#rt::Cap),
    }
}

/// Every type that the module declares or brings in.
pub(crate) fn items(types: &Types<'_>, rt: &Rt) -> TokenStream {
    let item = |(def, facts): (&TypeDef, &Facts)| match &def.declared_in {
        DeclaredIn::Use => TokenStream::new(),
        DeclaredIn::Here => declared(def, *facts, types, rt),
        DeclaredIn::Module(path) => {
            let (name, doc) = (&def.name.rust, docs::of(&def.docs, &describe(def)));
            quote!(#doc pub use #path::#name;)
        }
        DeclaredIn::Rust(path) => {
            // An alias, since a private type cannot be used again under another name.
            let (name, path, doc) =
                (&def.name.rust, from_module(path), docs::of(&def.docs, &describe(def)));
            quote!(#doc pub type #name = #path;)
        }
    };
    types.defs.iter().zip(&types.facts).map(item).collect()
}

/// Every constant that the module declares or brings in.
pub(crate) fn constants(constants: &[Constant], types: &Types<'_>) -> TokenStream {
    let item = |constant: &Constant| {
        let name = &constant.name.rust;
        let (idl, value) = (&constant.name.idl, constant.value);
        let written = docs::type_name(constant.ty, types.defs);
        let doc = docs::of(&constant.docs, &format!("`const {written} {idl} = {value};`"));
        match &constant.declared_in {
            DeclaredIn::Module(path) => quote!(#doc pub use #path::#name;),
            _ => {
                let (doc, ty) = (head(doc, &constant.name), types.owned(constant.ty));
                let minus = (value < 0).then(|| quote!(-));
                let value = proc_macro2::Literal::u128_unsuffixed(value.unsigned_abs());
                quote!(#doc pub const #name: #ty = #minus #value;)
            }
        }
    };
    constants.iter().map(item).collect()
}

fn declared(def: &TypeDef, facts: Facts, types: &Types<'_>, rt: &Rt) -> TokenStream {
    let name = &def.name.rust;
    let doc = head(docs::of(&def.docs, &describe(def)), &def.name);
    match &def.kind {
        TypeKind::Struct(fields) => structure(def, fields, facts, types, rt),
        TypeKind::Union(fields) => union(def, fields, facts, types, rt),
        TypeKind::Enum(elements) => enumeration(def, elements, rt),
        TypeKind::Array { elem, len } => {
            let (elem, len) = (types.owned(*elem), proc_macro2::Literal::u64_unsuffixed(*len));
            quote!(#doc pub type #name = [#elem; #len];)
        }
        TypeKind::Alias(old) => {
            let old = types.owned(*old);
            quote!(#doc pub type #name = #old;)
        }
        TypeKind::Extern | TypeKind::List { .. } | TypeKind::Optional(_) => TokenStream::new(),
    }
}

fn structure(
    def: &TypeDef,
    fields: &[Field],
    facts: Facts,
    types: &Types<'_>,
    rt: &Rt,
) -> TokenStream {
    let name = &def.name.rust;
    let doc = head(docs::of(&def.docs, &describe(def)), &def.name);
    let derives = derives(def, facts, rt);
    let declarations = fields.iter().map(|field| {
        let doc = docs::only(&field.docs);
        let (name, ty) = (&field.name.rust, types.owned(field.ty));
        quote!(#doc pub #name: #ty,)
    });
    let members = fields.iter().map(|field| Member {
        member: syn::Member::Named(field.name.rust.clone()),
        name: field.name.idl.clone(),
        ty: types.owned(field.ty),
        max: types.bound(field.ty),
    });
    let wire = WireType {
        ident: name.clone(),
        name: def.name.idl.clone(),
        body: Body::Struct(members.collect()),
        plain: !facts.tail && !facts.caps,
    };
    let traits = wire_traits(&wire, rt);
    quote! {
        #doc
        #derives
        pub struct #name { #(#declarations)* }
        #traits
    }
}

/// What a struct or a union derives, as far as all that it holds is known to have it.
fn derives(def: &TypeDef, facts: Facts, rt: &Rt) -> TokenStream {
    let known = !facts.foreign && !facts.caps;
    let copy = def.traits.copy.then(|| quote!(#rt::Copy));
    let eq = def.traits.eq.then(|| quote!(#rt::Eq, #rt::Hash));
    let clone = known.then(|| quote!(#rt::Clone, #copy));
    let comparison = known.then(|| quote!(#[#rt::derive(#rt::PartialEq, #eq)]));
    quote! {
        #[#rt::derive(#rt::Debug, #clone)]
        #comparison
    }
}

fn union(def: &TypeDef, fields: &[Field], facts: Facts, types: &Types<'_>, rt: &Rt) -> TokenStream {
    let name = &def.name.rust;
    let doc = head(docs::of(&def.docs, &describe(def)), &def.name);
    let derives = derives(def, facts, rt);
    let declarations = fields.iter().map(|field| {
        let doc = head(docs::only(&field.docs), &field.name);
        let (name, ty) = (&field.name.rust, types.owned(field.ty));
        quote!(#doc #name(#ty),)
    });
    let variants = fields.iter().map(|field| {
        let member = Member {
            member: syn::Member::from(0),
            name: "0".into(),
            ty: types.owned(field.ty),
            max: types.bound(field.ty),
        };
        let (ident, name) = (field.name.rust.clone(), field.name.idl.clone());
        Variant { ident, name, members: vec![member] }
    });
    let wire = WireType {
        ident: name.clone(),
        name: def.name.idl.clone(),
        body: Body::Enum(variants.collect()),
        plain: false,
    };
    let traits = wire_traits(&wire, rt);
    quote! {
        #doc
        #derives
        pub enum #name { #(#declarations)* }
        #traits
    }
}

fn enumeration(def: &TypeDef, elements: &[Element], rt: &Rt) -> TokenStream {
    let name = &def.name.rust;
    let doc = head(docs::of(&def.docs, &describe(def)), &def.name);
    let declarations = elements.iter().zip(0u32..).map(|(element, value)| {
        let doc = head(docs::only(&element.docs), &element.name);
        let (name, value) = (&element.name.rust, proc_macro2::Literal::u32_unsuffixed(value));
        quote!(#doc #name = #value,)
    });
    let variants = elements.iter().map(|element| Variant {
        ident: element.name.rust.clone(),
        name: element.name.idl.clone(),
        members: Vec::new(),
    });
    let wire = WireType {
        ident: name.clone(),
        name: def.name.idl.clone(),
        body: Body::Enum(variants.collect()),
        plain: true,
    };
    let traits = wire_traits(&wire, rt);
    quote! {
        #doc
        #[#rt::derive(#rt::Debug, #rt::Clone, #rt::Copy)]
        #[#rt::derive(#rt::PartialEq, #rt::Eq, #rt::Hash)]
        #[repr(u32)]
        pub enum #name { #(#declarations)* }
        #traits
    }
}

/// Docs, and an alias for searching where the Rust name is another one.
fn head(doc: TokenStream, name: &flounder_idl::model::Name) -> TokenStream {
    let idl = &name.idl;
    // Searches ignore case and `_`.
    let searched = |name: &str| name.replace('_', "").to_lowercase();
    let is_other = !idl.is_empty() && searched(&name.rust.to_string()) != searched(idl);
    let alias = is_other.then(|| quote!(#[doc(alias = #idl)]));
    quote!(#doc #alias)
}

fn describe(def: &TypeDef) -> String {
    let idl = &def.name.idl;
    match (&def.kind, &def.declared_in) {
        (_, DeclaredIn::Rust(path)) => {
            format!("`use {} as {idl};`", path.to_token_stream().to_string().replace(' ', ""))
        }
        (TypeKind::Struct(_), _) => format!("`typedef struct {{ .. }} {idl};`"),
        (TypeKind::Union(_), _) => format!("`typedef union {{ .. }} {idl};`"),
        (TypeKind::Enum(_), _) => format!("`typedef enum {{ .. }} {idl};`"),
        (TypeKind::Array { len, .. }, _) => format!("`typedef .. {idl}[{len}];`"),
        (_, _) => format!("`typedef .. {idl};`"),
    }
}
