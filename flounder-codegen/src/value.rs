//! One argument of a message: its types on both sides, how it is written and how it is read.

use flounder_idl::model::{Arg, Builtin, TypeId, TypeKind};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};

use crate::rt::Rt;
use crate::types::{Form, Types};

/// An argument.
pub(crate) struct Value<'a> {
    pub(crate) arg: &'a Arg,
    /// Its parameter and local.
    name: Ident,
    types: &'a Types<'a>,
    pub(crate) pass: Pass,
    rt: &'a Rt,
}

/// How an argument goes through Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// By value: it is `Copy`.
    Copied,
    /// Lent by the sender, owned by the receiver.
    Lent,
    /// Owned by both: it gives capabilities away. A struct; its capabilities are copied, then the original is dropped.
    Given,
    /// A capability that is moved.
    Moved,
    /// `&str` of at most so many bytes.
    Text(u32),
    /// `&[T]` of at most so many elements that lie in memory as on the wire.
    Plain(u32),
    /// `&[T]` of at most so many other elements.
    Items(u32),
}

impl<'a> Value<'a> {
    pub(crate) fn new(arg: &'a Arg, types: &'a Types<'a>, rt: &'a Rt) -> Self {
        let form = types.form(arg.ty);
        let pass = match (&arg.array, form) {
            (Some(array), Form::Scalar(builtin)) if is_plain(builtin) => Pass::Plain(array.max),
            (Some(array), _) => Pass::Items(array.max),
            (None, Form::Scalar(_) | Form::Enum) => Pass::Copied,
            (None, Form::Text(max)) => Pass::Text(max),
            (None, Form::Cap) => Pass::Lent,
            (None, Form::GiveAwayCap) => Pass::Moved,
            (None, Form::Value(id)) => types.pass_value(id),
        };
        Self { arg, name: local(&arg.name.rust), types, pass, rt }
    }

    /// An expression for the value as a `Field` of a `Message`, where its local is a reference.
    pub(crate) fn field(&self) -> TokenStream {
        let (rt, name) = (self.rt, self.name());
        match self.max() {
            // A type from Rust need not have `Debug`.
            Some(max) if !self.types.has_debug(self.arg.ty) => {
                quote!(&#rt::Max::<_, #max>(&#rt::Untold(#name)))
            }
            Some(max) => quote!(&#rt::Max::<_, #max>(#name)),
            None if !self.types.has_debug(self.arg.ty) => quote!(&#rt::Untold(#name)),
            None => quote!(#name),
        }
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.name
    }

    pub(crate) fn parameter(&self, ty: TokenStream) -> TokenStream {
        let name = self.name();
        let ty = respan(ty, name.span());
        quote!(#name: #ty,)
    }

    /// The owned type, of one element for a sequence.
    fn owned(&self) -> TokenStream {
        self.types.owned(self.arg.ty)
    }

    /// The type of one element where it is lent.
    fn element(&self) -> TokenStream {
        match self.types.form(self.arg.ty) {
            Form::Text(_) => quote!(&str),
            _ => self.owned(),
        }
    }

    /// The type that the sender passes.
    pub(crate) fn sent(&self) -> TokenStream {
        let (owned, element) = (self.owned(), self.element());
        match self.pass {
            Pass::Copied | Pass::Given | Pass::Moved => owned,
            Pass::Lent => quote!(&#owned),
            Pass::Text(_) => quote!(&str),
            Pass::Plain(_) | Pass::Items(_) => quote!(&[#element]),
        }
    }

    /// The type that a handler gets.
    pub(crate) fn received(&self) -> TokenStream {
        match self.pass {
            Pass::Lent => self.owned(),
            _ => self.sent(),
        }
    }

    /// An owned value, as the sender passes it.
    pub(crate) fn lent_owned(&self) -> TokenStream {
        let (rt, name) = (self.rt, self.name());
        match (self.pass, self.types.form(self.arg.ty)) {
            (Pass::Items(_), Form::Text(_)) => quote!(&#rt::texts(&#name)),
            (Pass::Copied | Pass::Given | Pass::Moved, _) => quote!(#name),
            _ => quote!(&#name),
        }
    }

    /// The type that an rpc returns, and that a handler gets which is a future.
    pub(crate) fn returned(&self) -> TokenStream {
        let (rt, owned) = (self.rt, self.owned());
        match self.pass {
            Pass::Plain(_) | Pass::Items(_) => quote!(#rt::Vec<#owned>),
            _ => owned,
        }
    }

    /// The type that gives up the capabilities, for the signature of a message that gives some away.
    pub(crate) fn given_type(&self) -> TokenStream {
        self.owned()
    }

    /// The type whose `Shape` this is.
    pub(crate) fn place(&self) -> TokenStream {
        let owned = self.owned();
        match self.pass {
            Pass::Text(_) => quote!(str),
            Pass::Plain(_) | Pass::Items(_) => quote!([#owned]),
            _ => owned,
        }
    }

    fn max(&self) -> Option<u32> {
        match self.pass {
            Pass::Text(max) | Pass::Plain(max) | Pass::Items(max) => Some(max),
            _ => None,
        }
    }

    pub(crate) fn constant(&self, name: &str) -> TokenStream {
        let (rt, place, name) = (self.rt, self.place(), format_ident!("{name}"));
        match self.max() {
            Some(max) => quote!(<#place as #rt::Bounded<#max>>::#name),
            None => quote!(<#place as #rt::Shape>::#name),
        }
    }

    /// An expression for a reference to the value.
    pub(crate) fn lent(&self) -> TokenStream {
        let name = self.name();
        match self.pass {
            Pass::Copied | Pass::Given | Pass::Moved => quote!(&#name),
            _ => quote!(#name),
        }
    }

    pub(crate) fn check(&self) -> Option<TokenStream> {
        let (rt, lent) = (self.rt, self.lent());
        match self.max() {
            Some(max) => Some(quote!(#rt::Bounded::<#max>::check_bound(#lent))),
            None => self.types.has_tail(self.arg.ty).then(|| quote!(#rt::Encode::check(#lent))),
        }
    }

    pub(crate) fn has_tail(&self) -> bool {
        self.arg.array.is_some() || self.types.has_tail(self.arg.ty)
    }

    pub(crate) fn has_caps(&self) -> bool {
        self.types.has_caps(self.arg.ty)
    }

    /// A capability alone takes no place in the record.
    pub(crate) fn is_bare_cap(&self) -> bool {
        matches!(self.types.form(self.arg.ty), Form::Cap | Form::GiveAwayCap)
    }

    /// The local that says where a moved capability goes.
    pub(crate) fn cap_place(&self) -> Ident {
        format_ident!("__at_{}", self.name())
    }

    /// Whether the tail has to be put together first.
    fn has_built_tail(&self) -> bool {
        match self.pass {
            Pass::Items(_) => true,
            Pass::Text(_) | Pass::Plain(_) => false,
            _ => self.types.has_tail(self.arg.ty),
        }
    }

    fn built_tail(&self) -> Ident {
        format_ident!("__tail_{}", self.name())
    }

    pub(crate) fn put_tail(&self) -> Option<TokenStream> {
        let (rt, local, lent) = (self.rt, self.built_tail(), self.lent());
        self.has_built_tail().then(|| {
            quote! {
                let mut #local = #rt::Vec::new();
                #rt::Encode::put_tail(#lent, &mut #local);
            }
        })
    }

    pub(crate) fn tail(&self) -> Option<TokenStream> {
        let (rt, name, local) = (self.rt, self.name(), self.built_tail());
        match self.pass {
            Pass::Text(_) => Some(quote!(#name.as_bytes())),
            Pass::Plain(_) => Some(quote!(#rt::plain_bytes(#name))),
            _ => self.has_built_tail().then(|| quote!(#rt::plain_bytes(&#local))),
        }
    }

    /// The function that reads the value.
    pub(crate) fn take(&self, owned: bool) -> TokenStream {
        let (rt, owned_type, element) = (self.rt, self.owned(), self.element());
        match (self.pass, owned) {
            (Pass::Text(max), false) => quote!(<&str as #rt::TakeBounded<'_, #max>>::take_bounded),
            (Pass::Text(max), true) => {
                quote!(<#owned_type as #rt::TakeBounded<'_, #max>>::take_bounded)
            }
            (Pass::Plain(max), false) => {
                quote!(<&[#element] as #rt::TakeBounded<'_, #max>>::take_bounded)
            }
            (Pass::Items(max), false) => {
                quote!(<#rt::Vec<#element> as #rt::TakeBounded<'_, #max>>::take_bounded)
            }
            (Pass::Plain(max) | Pass::Items(max), true) => {
                quote!(<#rt::Vec<#owned_type> as #rt::TakeBounded<'_, #max>>::take_bounded)
            }
            _ => quote!(<#owned_type as #rt::Decode<'_>>::take),
        }
    }

    pub(crate) fn handed_over(&self) -> TokenStream {
        let name = self.name();
        if matches!(self.pass, Pass::Items(_)) { quote!(&#name) } else { quote!(#name) }
    }
}

impl Types<'_> {
    fn pass_value(&self, id: TypeId) -> Pass {
        let def = &self.defs[id.0];
        let is_array = matches!(def.kind, TypeKind::Array { .. });
        match def.traits {
            traits if traits.gives_away => Pass::Given,
            traits if traits.copy && !is_array => Pass::Copied,
            _ => Pass::Lent,
        }
    }
}

/// The same tokens, shown where `span` is: errors about a type then point to the argument and not to all of the macro.
fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    let respan_tree = |mut tree: TokenTree| {
        if let TokenTree::Group(group) = &tree {
            tree = Group::new(group.delimiter(), respan(group.stream(), span)).into();
        }
        tree.set_span(tree.span().located_at(span));
        tree
    };
    tokens.into_iter().map(respan_tree).collect()
}

/// The name of an argument as a pattern: not one that Rust would take for a constant, a constructor or a variant.
fn local(name: &Ident) -> Ident {
    let upper = name.to_string().starts_with(|first: char| first.is_ascii_uppercase());
    if upper { format_ident!("__{name}") } else { name.clone() }
}

/// Whether slices of these values lie in memory as they lie on the wire.
fn is_plain(builtin: Builtin) -> bool {
    use Builtin::{Char, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(builtin, Char | U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | F32 | F64)
}
