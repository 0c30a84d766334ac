//! One message: what the runtime knows of it, and how its arguments go through Rust.

use flounder_idl::model::{Direction, Interface, Message, Role};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::rt::Rt;
use crate::types::{Types, record};
use crate::value::{Pass, Value};

/// The messages of one interface, and what is needed to generate code for them.
pub(crate) struct Messages<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) rt: &'a Rt,
    pub(crate) list: Vec<Wire<'a>>,
    /// The type parameter for the kind of an end: `E`, unless a type of the interface is called so.
    pub(crate) end: Ident,
    /// The type parameter for the side of a binding: `S`, likewise. Without it, the ends have the same messages.
    pub(crate) side: Option<Ident>,
}

/// An end of a binding, by the messages that it sends and receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Either end, which have the same messages.
    Either,
    /// The one that exported the service.
    Service,
    /// The one that bound to it.
    Client,
}

impl Side {
    /// `wanted` with the name of the side: `Rx`, `ClientRx`.
    pub(crate) fn name(self, wanted: &str) -> Ident {
        match self {
            Self::Either | Self::Service => format_ident!("{wanted}"),
            Self::Client => match wanted.strip_prefix("Async") {
                Some(rest) => format_ident!("AsyncClient{rest}"),
                None if wanted.starts_with("__") => format_ident!("{wanted}_client"),
                None => format_ident!("Client{wanted}"),
            },
        }
    }

    /// Which of the messages that go in one direction it receives.
    const fn receives(self) -> Direction {
        match self {
            Self::Either => Direction::Both,
            Self::Service => Direction::ToService,
            Self::Client => Direction::ToClient,
        }
    }

    /// Returns true if it receives such messages.
    pub(crate) fn takes(self, direction: Direction) -> bool {
        direction == Direction::Both || direction == self.receives()
    }

    /// Returns true if it sends such messages, and the other end does not; for either end, those that go both ways.
    fn sends_alone(self, direction: Direction) -> bool {
        match self {
            Self::Either => direction == Direction::Both,
            Self::Service => direction == Direction::ToClient,
            Self::Client => direction == Direction::ToService,
        }
    }
}

impl<'a> Messages<'a> {
    pub(crate) fn new(interface: &'a Interface, types: &'a Types<'a>, rt: &'a Rt) -> Self {
        let list = interface.messages.iter().map(|message| Wire::new(message, types, rt)).collect();
        let taken = interface.types.iter().any(|ty| ty.name.rust == "E");
        let end = if taken { format_ident!("__E") } else { format_ident!("E") };
        let taken = interface.types.iter().any(|ty| ty.name.rust == "S");
        let side = if taken { format_ident!("__S") } else { format_ident!("S") };
        Self { interface, rt, list, end, side: interface.is_directed().then_some(side) }
    }

    /// The sides whose messages differ.
    pub(crate) fn sides(&self) -> &'static [Side] {
        if self.side.is_some() { &[Side::Service, Side::Client] } else { &[Side::Either] }
    }

    /// The messages with a `tx_*` method of their own; those of rpcs go through the client and the reply.
    fn plain(&self) -> impl Iterator<Item = &Wire<'a>> {
        let plain = |wire: &&Wire<'_>| {
            matches!(wire.message.role, Role::Message | Role::Call | Role::Response)
        };
        self.list.iter().filter(plain)
    }

    /// Those of the [`plain`](Self::plain) messages that this side sends and the other does not; with [`Side::Either`], those
    /// that both send.
    pub(crate) fn sent(&self, side: Side) -> impl Iterator<Item = &Wire<'a>> {
        self.plain().filter(move |wire| side.sends_alone(wire.message.direction))
    }

    /// Those of the [`plain`](Self::plain) messages that this side receives and the other does not; with [`Side::Either`],
    /// those that both receive.
    pub(crate) fn received(&self, side: Side) -> impl Iterator<Item = &Wire<'a>> {
        self.plain().filter(move |wire| wire.message.direction == side.receives())
    }

    /// `Binding<E>`, `Binding<E, ClientSide>`: the binding of this side for an end of kind `end`.
    pub(crate) fn binding(&self, side: Side, end: impl ToTokens) -> TokenStream {
        let rt = self.rt;
        match side {
            Side::Either | Side::Service => quote!(Binding<#end>),
            Side::Client => quote!(Binding<#end, #rt::ClientSide>),
        }
    }

    /// The binding of this side for the thread of its waitset, as users write it.
    pub(crate) fn local(&self, side: Side) -> Ident {
        side.name("Binding")
    }

    /// What makes a binding of an end.
    pub(crate) fn constructor(&self) -> Ident {
        if self.side.is_some() { format_ident!("__binding") } else { format_ident!("Binding") }
    }

    /// Which of the messages that go in one direction an end receives, by its side where the ends differ.
    pub(crate) fn receives(&self) -> TokenStream {
        let rt = self.rt;
        match &self.side {
            None => quote!(#rt::Direction::Both),
            Some(side) => quote!(#side::RECEIVES),
        }
    }

    /// `, S` and `, S: Side` behind the kind of an end, where the ends differ: as an argument, and as a parameter.
    pub(crate) fn side_generics(&self) -> [Option<TokenStream>; 2] {
        let (rt, side) = (self.rt, self.side.as_ref());
        [side.map(|side| quote!(, #side)), side.map(|side| quote!(, #side: #rt::Side))]
    }

    /// Returns true if a message of the interface has bulk data.
    pub(crate) fn have_bulk(&self) -> bool {
        self.list.iter().any(Wire::has_bulk)
    }

    /// The messages with a handler at this side.
    pub(crate) fn handled(&self, side: Side) -> impl Iterator<Item = &Wire<'a>> {
        self.list.iter().filter(move |wire| {
            !matches!(wire.message.role, Role::RpcResponse(_) | Role::RpcError(_))
                && side.takes(wire.message.direction)
        })
    }
}

/// A message as it is generated.
pub(crate) struct Wire<'a> {
    pub(crate) message: &'a Message,
    pub(crate) values: Vec<Value<'a>>,
    /// The type with what the runtime knows of it.
    pub(crate) form: Ident,
    rt: &'a Rt,
}

/// The most arguments for which the runtime is prepared; more take more code.
const MOST: usize = 16;

impl<'a> Wire<'a> {
    fn new(message: &'a Message, types: &'a Types<'a>, rt: &'a Rt) -> Self {
        let values = message.args.iter().map(|arg| Value::new(arg, types, rt)).collect();
        Self { message, values, form: format_ident!("__{}", message.camel), rt }
    }

    pub(crate) fn rt(&self) -> &'a Rt {
        self.rt
    }

    /// Returns true if the record begins with the number of a call.
    pub(crate) fn has_id(&self) -> bool {
        matches!(self.message.role, Role::RpcCall(_) | Role::RpcResponse(_) | Role::RpcError(_))
    }

    /// Returns true if there are capabilities, or may be.
    pub(crate) fn has_caps(&self) -> bool {
        self.values.iter().any(Value::has_caps)
    }

    /// Returns true if there are more arguments than the runtime is prepared for.
    pub(crate) fn is_long(&self) -> bool {
        self.values.len() + usize::from(self.has_id()) > MOST
    }

    /// `type __StrType = ..;`
    pub(crate) fn declaration(&self) -> TokenStream {
        let (rt, form) = (self.rt, &self.form);
        let number = Literal::u16_unsuffixed(self.message.number);
        let id = self.has_id().then(|| quote!(#rt::Copied<u32>));
        let schemas: Vec<_> = id.into_iter().chain(self.values.iter().map(Value::schema)).collect();
        if self.is_long() {
            let args = format_ident!("__{}_args", self.message.camel);
            let count = Literal::usize_unsuffixed(schemas.len());
            let list = schemas.iter().enumerate().map(|(i, schema)| {
                let (value, built) = (format_ident!("value_{i}"), format_ident!("built_{i}"));
                let i = Literal::usize_unsuffixed(i);
                quote!((#schema) #value #built #i,)
            });
            return quote! {
                struct #args;
                #rt::__args! { [] #args, #count: #(#list)* }
                type #form = #rt::MessageType<#number, { <#args as #rt::Args>::WORDS }, #args>;
            };
        }
        match self.words() {
            Some(words) => quote!(type #form = #rt::MessageType<#number, #words, (#(#schemas,)*)>;),
            None => {
                let args = format_ident!("__{}_args", self.message.camel);
                quote! {
                    type #args = (#(#schemas,)*);
                    type #form = #rt::MessageType<#number, { <#args as #rt::Args>::WORDS }, #args>;
                }
            }
        }
    }

    /// Words of the record, unless rustc alone knows.
    fn words(&self) -> Option<Literal> {
        let id = self.has_id().then_some(Some((4, 4)));
        let (size, _) = record(id.into_iter().chain(self.values.iter().map(Value::place)))?;
        Some(Literal::u64_unsuffixed(size.div_ceil(8)))
    }

    /// The arguments that come back when sending fails.
    pub(crate) fn given(&self) -> Vec<&Value<'a>> {
        self.values
            .iter()
            .filter(|value| {
                matches!(
                    value.pass,
                    Pass::GivenAway | Pass::GivenItems(_) | Pass::Moved | Pass::Bulk(_)
                )
            })
            .collect()
    }

    /// `let cap = CapToMove::new(cap);`, for those whose parameters are to be moved. Bulk data goes into slots of `end`, which
    /// is a binding or a reply.
    pub(crate) fn gifts(&self, end: TokenStream) -> TokenStream {
        let rt = self.rt;
        let pools = self.has_bulk().then(|| quote!(let __pools = #end.bulk();));
        let gift = |value: &Value<'_>| {
            let name = value.name();
            let gift = match value.pass {
                Pass::Moved => value.if_some(quote!(#rt::CapToMove::new)),
                Pass::Bulk(_) => quote!(#rt::BulkToSend::new(__pools.as_ref(), #name)),
                _ => return None,
            };
            Some(quote!(let #name = #gift;))
        };
        let gifts = self.values.iter().filter_map(gift);
        quote!(#pools #(#gifts)*)
    }

    /// The names of the bulk arguments.
    pub(crate) fn bulks(&self) -> Vec<&Ident> {
        self.values.iter().filter(|value| value.is_bulk()).map(Value::name).collect()
    }

    /// Returns true if there are bulk arguments.
    pub(crate) fn has_bulk(&self) -> bool {
        self.values.iter().any(Value::is_bulk)
    }

    /// `(arg, s,)`: the parameters as the runtime takes them, after [`gifts`](Self::gifts); behind the number of a call.
    pub(crate) fn passed(&self, id: Option<TokenStream>) -> TokenStream {
        tuple(id.into_iter().chain(self.values.iter().map(Value::passed)))
    }

    /// The arguments of [`passed`](Self::passed) as references to owned values that stay.
    pub(crate) fn copied(&self, id: Option<TokenStream>) -> TokenStream {
        tuple(id.into_iter().chain(self.values.iter().map(Value::copied)))
    }

    /// `(arg, s,)`: the names of what is read, behind the number of a call.
    pub(crate) fn pattern(&self) -> TokenStream {
        self.pattern_of(self.has_id().then(|| format_ident!("__id")))
    }

    /// The [`pattern`](Self::pattern) with a name for the number of a call.
    pub(crate) fn pattern_of(&self, id: Option<Ident>) -> TokenStream {
        let names = id.iter().chain(self.values.iter().map(Value::name));
        tuple(names.map(ToTokens::to_token_stream))
    }

    /// `name: type, ..` for the sender.
    pub(crate) fn parameters(&self) -> TokenStream {
        self.values.iter().map(|value| value.parameter(value.sent())).collect()
    }

    /// `name: type, ..` for the sender, with one lifetime.
    pub(crate) fn parameters_for(&self, lifetime: &TokenStream) -> TokenStream {
        self.values.iter().map(|value| value.parameter(value.sent_for(lifetime))).collect()
    }

    /// `name: type, ..` for a handler that is a future: owned values.
    pub(crate) fn owned_parameters(&self) -> TokenStream {
        self.values.iter().map(|value| value.parameter(value.returned())).collect()
    }

    /// `name, ..` of owned values, as the sender passes them.
    pub(crate) fn lent(&self) -> TokenStream {
        self.values.iter().map(Value::lent_owned).map(|value| quote!(#value,)).collect()
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

    /// `wanted`, unless an argument is called so.
    pub(crate) fn free_name(&self, wanted: &str) -> Ident {
        let taken = self.values.iter().any(|value| value.name() == wanted);
        if taken { format_ident!("__{wanted}") } else { format_ident!("{wanted}") }
    }

    /// The type of what an rpc returns: owned values.
    pub(crate) fn output(&self) -> TokenStream {
        let types: Vec<_> = self.values.iter().map(Value::returned).collect();
        one_or_tuple(&types)
    }

    /// The arguments as a handler takes them, once they are read.
    pub(crate) fn received(&self) -> TokenStream {
        self.values.iter().map(Value::handed_over).map(|value| quote!(#value,)).collect()
    }

    /// `a`, or `(a, b)`: what an rpc returns.
    pub(crate) fn result(&self) -> TokenStream {
        one_or_tuple(
            &self.values.iter().map(|value| value.name().to_token_stream()).collect::<Vec<_>>(),
        )
    }
}

/// Nothing as `()`, one as it is, more as a tuple.
pub(crate) fn one_or_tuple(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [one] => one.clone(),
        parts => quote!((#(#parts),*)),
    }
}

fn tuple(parts: impl Iterator<Item = TokenStream>) -> TokenStream {
    let parts: Vec<_> = parts.collect();
    match &parts[..] {
        [one] => quote!((#one,)),
        parts => quote!((#(#parts),*)),
    }
}
