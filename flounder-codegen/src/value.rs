//! One argument of a message: its types on both sides, how it is written and how it is read.

use flounder_idl::model::{Arg, Builtin, Ty, TypeId, TypeKind};
use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};

use crate::rt::Rt;
use crate::types::{Form, Types, optional};

/// An argument.
pub(crate) struct Value<'a> {
    pub(crate) arg: &'a Arg,
    /// The type of the value, or of one element of a sequence.
    ty: Ty,
    /// True if the value may be missing: what follows holds for the value that is there.
    optional: bool,
    /// Name of the parameter and the local.
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
    GivenAway,
    /// A capability that is moved.
    Moved,
    /// `&str` of at most so many bytes.
    Text(u32),
    /// Bulk data of at most so many bytes.
    Bulk(u32),
    /// `&[T]` of at most so many elements that lie in memory as on the wire.
    Plain(u32),
    /// `&[T]` of at most so many other elements.
    Items(u32),
    /// At most so many elements with capabilities: lent by the sender, owned by the receiver.
    LentItems(u32),
    /// At most so many elements that give capabilities away. The sender and the receiver own them, as with
    /// [`GivenAway`](Self::GivenAway).
    GivenItems(u32),
}

impl<'a> Value<'a> {
    pub(crate) fn new(arg: &'a Arg, types: &'a Types<'a>, rt: &'a Rt) -> Self {
        let value = types.optional(arg.ty);
        let (ty, optional) = (value.unwrap_or(arg.ty), value.is_some());
        let list = if optional { types.list(ty) } else { None };
        let list = list.or(arg.array.as_ref().map(|array| (ty, array.max)));
        let (ty, max) = list.map_or((ty, None), |(elem, max)| (elem, Some(max)));
        let pass = match (max, types.form(ty)) {
            (Some(max), Form::Scalar(builtin)) if is_plain(builtin) => Pass::Plain(max),
            (Some(max), _) => types.pass_items(ty, max),
            (None, Form::Scalar(_) | Form::Enum) => Pass::Copied,
            (None, Form::Text(max)) => Pass::Text(max),
            (None, Form::Bulk(max)) => Pass::Bulk(max),
            (None, Form::Cap) => Pass::Lent,
            (None, Form::GiveAwayCap) => Pass::Moved,
            (None, Form::Value(id)) => types.pass_value(id),
        };
        Self { arg, ty, optional, name: local(&arg.name.rust), types, pass, rt }
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
        self.types.owned(self.ty)
    }

    /// Returns true for a string, or a sequence of strings.
    fn is_text(&self) -> bool {
        matches!(self.types.form(self.ty), Form::Text(_))
    }

    /// `ty`, or an `Option` of it.
    fn maybe(&self, ty: TokenStream) -> TokenStream {
        let rt = self.rt;
        if self.optional { quote!(#rt::Option<#ty>) } else { ty }
    }

    /// `function(name)`, or its result for the value that may be missing.
    pub(crate) fn if_some(&self, function: TokenStream) -> TokenStream {
        let name = self.name();
        if self.optional { quote!(#name.map(#function)) } else { quote!(#function(#name)) }
    }

    /// [`if_some`](Self::if_some) of a reference to the argument.
    fn if_some_ref(&self, function: TokenStream) -> TokenStream {
        let name = self.name();
        if self.optional {
            quote!(#name.as_ref().map(#function))
        } else {
            quote!(#function(&#name))
        }
    }

    /// An owned value that stays, as a reference to what it holds.
    fn lent(&self) -> TokenStream {
        let name = self.name();
        match (self.optional, self.pass) {
            (false, _) => quote!(&#name),
            (true, Pass::Text(_)) => quote!(#name.as_deref()),
            (true, _) if self.is_sequence() => quote!(#name.as_deref()),
            (true, _) => quote!(#name.as_ref()),
        }
    }

    /// Returns true for dynamic arrays.
    fn is_sequence(&self) -> bool {
        use Pass::{GivenItems, Items, LentItems, Plain};
        matches!(self.pass, Plain(_) | Items(_) | LentItems(_) | GivenItems(_))
    }

    /// The type that the sender passes.
    pub(crate) fn sent(&self) -> TokenStream {
        self.sent_for(&TokenStream::new())
    }

    /// The type of [`sent`](Self::sent), with a lifetime for what is borrowed.
    pub(crate) fn sent_for(&self, lifetime: &TokenStream) -> TokenStream {
        let (rt, owned) = (self.rt, self.owned());
        self.maybe(match self.pass {
            Pass::Copied | Pass::GivenAway | Pass::Moved => owned,
            Pass::Lent => quote!(&#lifetime #owned),
            Pass::Text(_) => quote!(&#lifetime str),
            Pass::Bulk(_) => quote!(impl #rt::IntoBulk),
            // What a handler gets can be passed on, lent or owned.
            Pass::Items(_) if self.is_text() => quote!(&#lifetime [impl #rt::TextItem]),
            Pass::Plain(_) | Pass::Items(_) | Pass::LentItems(_) => quote!(&#lifetime [#owned]),
            Pass::GivenItems(_) => quote!(#rt::Vec<#owned>),
        })
    }

    /// The type that a handler gets.
    pub(crate) fn received(&self) -> TokenStream {
        let rt = self.rt;
        match self.pass {
            Pass::Lent => self.maybe(self.owned()),
            Pass::LentItems(_) => self.returned(),
            Pass::Bulk(_) => quote!(#rt::Bulk<'_>),
            Pass::Items(_) if self.is_text() => self.maybe(quote!(&[&str])),
            _ => self.sent(),
        }
    }

    /// An owned value, as the sender passes it.
    pub(crate) fn lent_owned(&self) -> TokenStream {
        let name = self.name();
        match self.pass {
            Pass::Copied | Pass::GivenAway | Pass::Moved | Pass::Bulk(_) => quote!(#name),
            Pass::GivenItems(_) => quote!(#name),
            _ => self.lent(),
        }
    }

    /// The type that an rpc returns, and that a handler gets which is a future.
    pub(crate) fn returned(&self) -> TokenStream {
        let (rt, owned) = (self.rt, self.owned());
        self.maybe(if self.is_sequence() { quote!(#rt::Vec<#owned>) } else { owned })
    }

    /// The type of what comes back from a message that was not sent.
    pub(crate) fn given_type(&self) -> TokenStream {
        let rt = self.rt;
        match self.pass {
            Pass::Bulk(_) => quote!(#rt::Option<#rt::BufferMut>),
            _ => self.returned(),
        }
    }

    /// What the runtime knows of the argument: how it is passed, and its type.
    pub(crate) fn schema(&self) -> TokenStream {
        let (rt, owned) = (self.rt, self.owned());
        let schema = match self.pass {
            Pass::Copied => quote!(#rt::Copied<#owned>),
            Pass::Lent | Pass::GivenAway => quote!(#rt::Lent<#owned>),
            Pass::Moved => quote!(#rt::Moved),
            Pass::Text(max) => bounded(&quote!(#rt::Text), None, max),
            Pass::Bulk(max) => bounded(&quote!(#rt::BulkArg), None, max),
            Pass::Plain(max) => bounded(&quote!(#rt::Slice), Some(&owned), max),
            Pass::Items(max) if self.is_text() => bounded(&quote!(#rt::Texts), None, max),
            Pass::Items(max) | Pass::LentItems(max) | Pass::GivenItems(max) => {
                bounded(&quote!(#rt::Items), Some(&owned), max)
            }
        };
        let schema = if self.optional { quote!(#rt::Optional<#schema>) } else { schema };
        respan(schema, self.name.span())
    }

    /// Size and alignment of its fixed part, unless rustc alone knows them.
    pub(crate) fn place(&self) -> Option<(u64, u64)> {
        let place = match self.pass {
            Pass::Text(_) => Some((4, 4)),
            _ if self.is_sequence() => Some((4, 4)),
            Pass::Bulk(_) => Some((8, 8)),
            _ => self.types.place(self.ty),
        };
        if self.optional { place.map(optional) } else { place }
    }

    /// Returns true if the value holds capabilities, or may do so.
    pub(crate) fn has_caps(&self) -> bool {
        self.types.has_caps(self.ty)
    }

    /// The parameter, as the runtime takes it.
    pub(crate) fn passed(&self) -> TokenStream {
        let (rt, name) = (self.rt, self.name());
        match self.pass {
            Pass::GivenItems(_) if !self.optional => quote!(&#name[..]),
            Pass::GivenAway | Pass::GivenItems(_) | Pass::Bulk(_) => self.lent(),
            Pass::Moved => self.if_some_ref(quote!(#rt::Giving::CapToMove)),
            Pass::Items(_) if self.is_text() => self.if_some(quote!(#rt::TextItem::strings)),
            _ => quote!(#name),
        }
    }

    /// What was given away, after a message that was not sent.
    pub(crate) fn given_back(&self) -> TokenStream {
        let name = self.name();
        match self.pass {
            Pass::Moved if self.optional => quote!(#name.map(|__cap| __cap.back())),
            Pass::Moved | Pass::Bulk(_) => quote!(#name.back()),
            _ => quote!(#name),
        }
    }

    /// What was given away, after a message that was put together and not sent.
    pub(crate) fn given_back_from(&self) -> TokenStream {
        let name = self.name();
        match self.pass {
            Pass::Moved if self.optional => quote!(#name.map(|__cap| __cap.back_from(__caps))),
            Pass::Moved | Pass::Bulk(_) => quote!(#name.back_from(__caps)),
            _ => quote!(#name),
        }
    }

    /// Returns true for bulk data.
    pub(crate) const fn is_bulk(&self) -> bool {
        matches!(self.pass, Pass::Bulk(_))
    }

    /// Returns true if the sender lends the argument.
    pub(crate) fn borrows(&self) -> bool {
        use Pass::{Bulk, Copied, GivenAway, GivenItems, Moved};
        !matches!(self.pass, Copied | GivenAway | GivenItems(_) | Moved | Bulk(_))
    }

    /// A reference to an owned value that stays, as the runtime takes it.
    pub(crate) fn copied(&self) -> TokenStream {
        let (rt, name) = (self.rt, self.name());
        match self.pass {
            Pass::Copied => quote!(*#name),
            Pass::Bulk(_) => quote!(&#rt::BulkToSend::copied(#name)),
            Pass::Moved if self.optional => quote!(#name.as_ref().map(#rt::Giving::Copy)),
            Pass::Moved => quote!(#rt::Giving::Copy(#name)),
            Pass::Items(_) if self.optional && self.is_text() => {
                quote!(#name.as_deref().map(#rt::TextItem::strings))
            }
            Pass::Items(_) if self.is_text() => quote!(#rt::TextItem::strings(#name)),
            _ if self.optional => self.lent(),
            _ => quote!(#name),
        }
    }

    /// A reference to an owned value, to be shown.
    pub(crate) fn shown(&self) -> TokenStream {
        let (rt, name) = (self.rt, self.name());
        // A type from Rust need not have `Debug`.
        if self.has_debug() { quote!(#name) } else { quote!(&#rt::Opaque) }
    }

    /// Returns true if the type is known to have `Debug`.
    pub(crate) fn has_debug(&self) -> bool {
        self.types.has_debug(self.ty)
    }

    pub(crate) fn handed_over(&self) -> TokenStream {
        let name = self.name();
        if matches!(self.pass, Pass::Items(_)) { self.lent() } else { quote!(#name) }
    }
}

impl Types<'_> {
    fn pass_items(&self, element: Ty, max: u32) -> Pass {
        let traits = match (self.form(element), element) {
            (Form::Cap, _) => return Pass::LentItems(max),
            (Form::GiveAwayCap, _) => return Pass::GivenItems(max),
            (_, Ty::Named(id)) => self.defs[id.0].traits,
            _ => return Pass::Items(max),
        };
        match (traits.gives_away, traits.caps) {
            (true, _) => Pass::GivenItems(max),
            (false, true) => Pass::LentItems(max),
            (false, false) => Pass::Items(max),
        }
    }

    fn pass_value(&self, id: TypeId) -> Pass {
        let def = &self.defs[id.0];
        let is_array = matches!(def.kind, TypeKind::Array { .. });
        match def.traits {
            traits if traits.gives_away => Pass::GivenAway,
            traits if traits.copy && !is_array => Pass::Copied,
            _ => Pass::Lent,
        }
    }
}

/// Returns the tokens with the location `span`: errors about a type then point to the argument and not to all of the macro.
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

/// `Slice<T, 4096>`
fn bounded(schema: &TokenStream, element: Option<&TokenStream>, max: u32) -> TokenStream {
    let (element, max) = (element.map(|element| quote!(#element,)), Literal::u32_unsuffixed(max));
    quote!(#schema<#element #max>)
}

/// The name of an argument as a pattern: not one that Rust would take for a constant, a constructor or a variant.
fn local(name: &Ident) -> Ident {
    let upper = name.to_string().starts_with(|first: char| first.is_ascii_uppercase());
    if upper { format_ident!("__{name}") } else { name.clone() }
}

/// Returns true if slices of these values lie in memory as they lie on the wire.
fn is_plain(builtin: Builtin) -> bool {
    use Builtin::{Char, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(builtin, Char | U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | F32 | F64)
}
