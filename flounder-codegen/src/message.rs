//! One message: where its arguments lie, how they are written and read; and the `INTERFACE` descriptor over all of them.

use flounder_idl::model::{AnnotationValue, Arg, Builtin, Interface, Message, Role};
use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};

use crate::docs;
use crate::rt::Rt;
use crate::types::{Form, Types};

/// The messages of one interface, and what is needed to generate code for them.
pub(crate) struct Messages<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) rt: &'a Rt,
    pub(crate) list: Vec<Wire<'a>>,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(interface: &'a Interface, types: &'a Types<'a>, rt: &'a Rt) -> Self {
        let list = interface.messages.iter().map(|message| Wire::new(message, types, rt)).collect();
        Self { interface, rt, list }
    }
}

/// A message as it is generated.
pub(crate) struct Wire<'a> {
    pub(crate) message: &'a Message,
    pub(crate) values: Vec<Value<'a>>,
    /// The `const` of its layout.
    pub(crate) record: Ident,
    rt: &'a Rt,
}

/// An argument.
pub(crate) struct Value<'a> {
    arg: &'a Arg,
    /// Its parameter and local.
    name: Ident,
    types: &'a Types<'a>,
    pass: Pass,
    rt: &'a Rt,
}

/// How an argument goes through Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
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

/// Why arguments are refused before anything is sent.
pub(crate) enum Refusal<'a> {
    /// The value of the argument of this name is too long; the error is in `__error`.
    TooLong(&'a str),
    /// A capability could not be copied; the error is in `__error`.
    Caps,
}

impl<'a> Wire<'a> {
    fn new(message: &'a Message, types: &'a Types<'a>, rt: &'a Rt) -> Self {
        let values = message.args.iter().map(|arg| Value::new(arg, types, rt)).collect();
        Self { message, values, record: format_ident!("__REC_{}", message.number), rt }
    }

    pub(crate) fn rt(&self) -> &'a Rt {
        self.rt
    }

    /// Whether the record begins with the number of a call.
    fn has_id(&self) -> bool {
        matches!(self.message.role, Role::RpcCall(_) | Role::RpcResponse(_))
    }

    /// Whether there are capabilities, or may be.
    pub(crate) fn has_caps(&self) -> bool {
        self.values.iter().any(Value::has_caps)
    }

    /// The arguments that come back when sending fails.
    pub(crate) fn given(&self) -> Vec<&Value<'a>> {
        self.values.iter().filter(|value| matches!(value.pass, Pass::Given | Pass::Moved)).collect()
    }

    /// `name: type, ..` for the sender.
    pub(crate) fn parameters(&self) -> TokenStream {
        self.values.iter().map(|value| value.parameter(value.sent())).collect()
    }

    /// `name: type, ..` for a handler.
    pub(crate) fn handler_parameters(&self) -> TokenStream {
        self.values.iter().map(|value| value.parameter(value.received())).collect()
    }

    /// `type, ..` for a handler.
    pub(crate) fn handler_types(&self) -> TokenStream {
        self.values.iter().map(|value| value.received()).map(|ty| quote!(#ty,)).collect()
    }

    /// `name, ..`
    pub(crate) fn names(&self) -> TokenStream {
        self.values.iter().map(Value::name).map(|name| quote!(#name,)).collect()
    }

    /// The first of `candidates` that is not the name of an argument.
    pub(crate) fn free_name(&self, wanted: &str) -> Ident {
        let taken = self.values.iter().any(|value| value.name() == wanted);
        if taken { format_ident!("__{wanted}") } else { format_ident!("{wanted}") }
    }

    /// The type of what an rpc returns: owned values.
    pub(crate) fn output(&self) -> TokenStream {
        let types: Vec<_> = self.values.iter().map(Value::returned).collect();
        one_or_tuple(&types)
    }

    /// The offset of argument `i` in the record.
    fn offset(&self, i: usize) -> TokenStream {
        let (record, index) =
            (&self.record, Literal::usize_unsuffixed(i + usize::from(self.has_id())));
        quote!(#record.at[#index])
    }

    /// `const __REC_1: .. = ..;`
    fn layout(&self) -> TokenStream {
        let (rt, record) = (self.rt, &self.record);
        let id = self.has_id().then(|| quote!(u32));
        let types: Vec<_> = id.into_iter().chain(self.values.iter().map(Value::place)).collect();
        let count = types.len();
        quote!(const #record: #rt::Record<#count> = #rt::record([#(<#types as #rt::Shape>::PLACE),*]);)
    }

    /// Statements that check the arguments and write them into `__words` and, if there may be any, `__caps`.
    /// `id` is the number of the call; `fail` leaves the function because of a refusal.
    pub(crate) fn marshal(
        &self,
        id: Option<&TokenStream>,
        fail: &dyn Fn(&Refusal<'_>) -> TokenStream,
    ) -> TokenStream {
        let (rt, record) = (self.rt, &self.record);
        let err = quote!(#rt::core::result::Result::Err(__error));
        let checks = self.values.iter().filter_map(|value| {
            let (check, fail) = (value.check()?, fail(&Refusal::TooLong(&value.arg.name.idl)));
            Some(quote!(if let #err = #check { #fail }))
        });
        let id = id.map(|id| quote!(#rt::Encode::put(&#id, &mut __words, #record.at[0]);));
        let puts = self.values.iter().enumerate().filter(|(_, value)| !value.is_bare_cap()).map(
            |(i, value)| {
                let (lent, offset) = (value.lent(), self.offset(i));
                quote!(#rt::Encode::put(#lent, &mut __words, #offset);)
            },
        );
        let tails = self.values.iter().filter_map(Value::put_tail);
        let caps = self.has_caps().then(|| self.marshal_caps(fail));
        // Nothing to put leaves the words unchanged.
        let mutable = (id.is_some() || self.values.iter().any(|value| !value.is_bare_cap()))
            .then(|| quote!(mut));
        quote! {
            #(#checks)*
            let #mutable __words = [0u64; #record.words];
            #id
            #(#puts)*
            #(#tails)*
            #caps
        }
    }

    /// Copies are made first, since they can fail; what is moved goes in afterwards, at the places noted.
    fn marshal_caps(&self, fail: &dyn Fn(&Refusal<'_>) -> TokenStream) -> TokenStream {
        let rt = self.rt;
        let fail = fail(&Refusal::Caps);
        let mut moved = 0usize;
        let copies = self.values.iter().filter(|value| value.has_caps()).map(|value| {
            if value.pass == Pass::Moved {
                let (at, before) = (value.cap_place(), Literal::usize_unsuffixed(moved));
                moved += 1;
                return quote!(let #at = __caps.len() + #before;);
            }
            let lent = value.lent();
            quote! {
                if let #rt::core::result::Result::Err(__error) = #rt::Encode::put_caps(#lent, &mut __caps) { #fail }
            }
        });
        let copies: Vec<_> = copies.collect();
        let moves = self.values.iter().filter(|value| value.pass == Pass::Moved).map(|value| {
            let (name, at) = (value.name(), value.cap_place());
            quote!(__caps.insert(#at, #name);)
        });
        quote! {
            let mut __caps = #rt::Vec::new();
            #(#copies)*
            #(#moves)*
        }
    }

    /// Statements that take moved capabilities back out of `__caps`.
    pub(crate) fn take_back(&self) -> TokenStream {
        let moved = self.values.iter().rev().filter(|value| value.pass == Pass::Moved);
        moved
            .map(|value| {
                let (name, at) = (value.name(), value.cap_place());
                quote!(let #name = __caps.remove(#at);)
            })
            .collect()
    }

    /// `&[..]`: the tails of the arguments, after [`marshal`](Self::marshal).
    pub(crate) fn tails(&self) -> TokenStream {
        let tails = self.values.iter().filter_map(Value::tail);
        quote!(&[#(#tails),*])
    }

    /// Statements that read `__message` into locals with the names of the arguments; for a reply, owned ones. The number
    /// of a call becomes `__id`.
    pub(crate) fn unmarshal(&self, owned: bool) -> TokenStream {
        let (rt, record) = (self.rt, &self.record);
        let id = (self.has_id() && !owned).then(
            || quote!(let __id = <u32 as #rt::Decode<'_>>::take(&mut __source, #record.at[0])?;),
        );
        let takes = self.values.iter().enumerate().map(|(i, value)| {
            let (name, take, offset) = (value.name(), value.take(owned), self.offset(i));
            quote!(let #name = #take(&mut __source, #offset)?;)
        });
        let mutable = (id.is_some() || !self.values.is_empty()).then(|| quote!(mut));
        quote! {
            let #mutable __source = #rt::Source::new(__message.words, __message.caps, #record.words)?;
            #id
            #(#takes)*
            __source.zero(#record.used, #record.words * 8 - #record.used)?;
            __source.finish()?;
        }
    }

    /// The arguments as a handler takes them, after [`unmarshal`](Self::unmarshal).
    pub(crate) fn received(&self) -> TokenStream {
        self.values.iter().map(Value::handed_over).map(|value| quote!(#value,)).collect()
    }

    /// `a`, or `(a, b)`: what an rpc returns, after [`unmarshal`](Self::unmarshal).
    pub(crate) fn result(&self) -> TokenStream {
        one_or_tuple(
            &self.values.iter().map(|value| value.name().to_token_stream()).collect::<Vec<_>>(),
        )
    }
}

impl<'a> Value<'a> {
    fn new(arg: &'a Arg, types: &'a Types<'a>, rt: &'a Rt) -> Self {
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

    pub(crate) fn name(&self) -> &Ident {
        &self.name
    }

    fn parameter(&self, ty: TokenStream) -> TokenStream {
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
    fn sent(&self) -> TokenStream {
        let (owned, element) = (self.owned(), self.element());
        match self.pass {
            Pass::Copied | Pass::Given | Pass::Moved => owned,
            Pass::Lent => quote!(&#owned),
            Pass::Text(_) => quote!(&str),
            Pass::Plain(_) | Pass::Items(_) => quote!(&[#element]),
        }
    }

    /// The type that a handler gets.
    fn received(&self) -> TokenStream {
        match self.pass {
            Pass::Lent => self.owned(),
            _ => self.sent(),
        }
    }

    /// The type that an rpc returns.
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
    fn place(&self) -> TokenStream {
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

    fn constant(&self, name: &str) -> TokenStream {
        let (rt, place, name) = (self.rt, self.place(), format_ident!("{name}"));
        match self.max() {
            Some(max) => quote!(<#place as #rt::Bounded<#max>>::#name),
            None => quote!(<#place as #rt::Shape>::#name),
        }
    }

    /// An expression for a reference to the value.
    fn lent(&self) -> TokenStream {
        let name = self.name();
        match self.pass {
            Pass::Copied | Pass::Given | Pass::Moved => quote!(&#name),
            _ => quote!(#name),
        }
    }

    fn check(&self) -> Option<TokenStream> {
        let (rt, lent) = (self.rt, self.lent());
        match self.max() {
            Some(max) => Some(quote!(#rt::Bounded::<#max>::check_bound(#lent))),
            None => self.types.has_tail(self.arg.ty).then(|| quote!(#rt::Encode::check(#lent))),
        }
    }

    fn has_tail(&self) -> bool {
        self.arg.array.is_some() || self.types.has_tail(self.arg.ty)
    }

    fn has_caps(&self) -> bool {
        self.types.has_caps(self.arg.ty)
    }

    /// A capability alone takes no place in the record.
    fn is_bare_cap(&self) -> bool {
        matches!(self.types.form(self.arg.ty), Form::Cap | Form::GiveAwayCap)
    }

    /// The local that says where a moved capability goes.
    fn cap_place(&self) -> Ident {
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

    fn put_tail(&self) -> Option<TokenStream> {
        let (rt, local, lent) = (self.rt, self.built_tail(), self.lent());
        self.has_built_tail().then(|| {
            quote! {
                let mut #local = #rt::Vec::new();
                #rt::Encode::put_tail(#lent, &mut #local);
            }
        })
    }

    fn tail(&self) -> Option<TokenStream> {
        let (rt, name, local) = (self.rt, self.name(), self.built_tail());
        match self.pass {
            Pass::Text(_) => Some(quote!(#name.as_bytes())),
            Pass::Plain(_) => Some(quote!(#rt::plain_bytes(#name))),
            _ => self.has_built_tail().then(|| quote!(#rt::plain_bytes(&#local))),
        }
    }

    /// The function that reads the value.
    fn take(&self, owned: bool) -> TokenStream {
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

    fn handed_over(&self) -> TokenStream {
        let name = self.name();
        if matches!(self.pass, Pass::Items(_)) { quote!(&#name) } else { quote!(#name) }
    }
}

impl Types<'_> {
    fn pass_value(&self, id: flounder_idl::model::TypeId) -> Pass {
        let def = &self.defs[id.0];
        let is_array = matches!(def.kind, flounder_idl::model::TypeKind::Array { .. });
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

/// The name of an argument as a pattern: not one that Rust would take for a variant of its prelude.
fn local(name: &Ident) -> Ident {
    let taken = ["None", "Some", "Ok", "Err"].iter().any(|variant| name == variant);
    if taken { format_ident!("__{name}") } else { name.clone() }
}

/// Whether slices of these values lie in memory as they lie on the wire.
fn is_plain(builtin: Builtin) -> bool {
    use Builtin::{Char, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(builtin, Char | U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | F32 | F64)
}

/// Nothing as `()`, one as it is, more as a tuple.
pub(crate) fn one_or_tuple(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [one] => one.clone(),
        parts => quote!((#(#parts),*)),
    }
}

/// The layouts of all messages, and `INTERFACE`.
pub(crate) fn descriptor(messages: &Messages<'_>) -> TokenStream {
    let (rt, interface) = (messages.rt, messages.interface);
    let layouts = messages.list.iter().map(Wire::layout);
    let infos = messages.list.iter().enumerate().map(|(i, wire)| info(i, wire, interface));
    let limits = messages.list.iter().map(limit);
    let digests = messages.list.iter().map(|wire| digest(wire, interface));
    let count = messages.list.len();
    let (name, description) = (&interface.name.idl, &interface.description);
    let doc = docs::line(&format!(
        "Describes the interface `{name}`: its messages, and the digest that two ends must agree on."
    ));
    quote! {
        #(#layouts)*

        const __DIGESTS: [u128; #count] = [#(#digests),*];

        #doc
        pub const INTERFACE: &#rt::Interface = &#rt::Interface {
            name: #name,
            description: #description,
            messages: &[#(#infos),*],
            limits: &[#(#limits),*],
            fingerprint: #rt::fingerprint(0, &__DIGESTS),
        };
    }
}

/// The digest of a message: what the types from Rust contribute is known to rustc alone.
fn digest(wire: &Wire<'_>, interface: &Interface) -> TokenStream {
    let (rt, digest) = (wire.rt, Literal::u128_unsuffixed(wire.message.digest));
    if wire.message.externs.is_empty() {
        return digest.into_token_stream();
    }
    let externs = wire.message.externs.iter().map(|id| &interface.types[id.0].name.rust);
    quote!(#rt::fingerprint(#digest, &[#(<#externs as #rt::Shape>::FINGERPRINT),*]))
}

fn info(i: usize, wire: &Wire<'_>, interface: &Interface) -> TokenStream {
    let (rt, message) = (wire.rt, wire.message);
    let (number, name) = (message.number, &message.name.idl);
    let index = Literal::usize_unsuffixed(i);
    let args = message.args.iter().map(|arg| {
        let (name, ty) = (&arg.name.idl, docs::argument_type(arg, &interface.types));
        quote!(#rt::ArgInfo { name: #name, ty: #ty })
    });
    let annotations = message.annotations.iter().map(|annotation| {
        let context = &annotation.context.idl;
        let params = annotation.params.iter().map(|(name, value)| {
            let name = &name.idl;
            match value {
                AnnotationValue::Number(value) => {
                    quote!((#name, #rt::AnnotationValue::Number(#value)))
                }
                AnnotationValue::Ident(value) => {
                    quote!((#name, #rt::AnnotationValue::Ident(#value)))
                }
            }
        });
        quote!(#rt::AnnotationInfo { context: #context, params: &[#(#params),*] })
    });
    quote! {
        #rt::MessageInfo {
            number: #number,
            name: #name,
            args: &[#(#args),*],
            annotations: &[#(#annotations),*],
            fingerprint: __DIGESTS[#index],
        }
    }
}

fn limit(wire: &Wire<'_>) -> TokenStream {
    let (rt, record) = (wire.rt, &wire.record);
    let tails =
        wire.values.iter().filter(|value| value.has_tail()).map(|value| value.constant("MAX_TAIL"));
    let caps =
        wire.values.iter().filter(|value| value.has_caps()).map(|value| value.constant("MAX_CAPS"));
    quote! {
        #rt::MessageLimit {
            words: #rt::total(&[#record.words, #(#tails),*]),
            caps: #rt::total(&[#(#caps),*]),
        }
    }
}
