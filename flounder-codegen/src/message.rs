//! One message: how its arguments are written into words and read from them.

use flounder_idl::model::{Interface, Message, Role};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::rt::Rt;
use crate::types::Types;
use crate::value::{Pass, Value};

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
    pub(crate) fn has_id(&self) -> bool {
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

    /// The offset of argument `i` in the record.
    fn offset(&self, i: usize) -> TokenStream {
        let (record, index) =
            (&self.record, Literal::usize_unsuffixed(i + usize::from(self.has_id())));
        quote!(#record.at[#index])
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

    /// Statements that read `__message` into locals with the names of the arguments, owned ones if so desired. The number of
    /// a call becomes `__id`.
    pub(crate) fn unmarshal(&self, owned: bool) -> TokenStream {
        let (rt, record) = (self.rt, &self.record);
        // The caller knows that of a response.
        let id = matches!(self.message.role, Role::RpcCall(_)).then(
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

    /// Statements that take all values out of `__source`, owned, into locals with the names of the arguments. The number of
    /// a call becomes `__id`.
    pub(crate) fn takes(&self) -> TokenStream {
        let (rt, record) = (self.rt, &self.record);
        let id = self
            .has_id()
            .then(|| quote!(let __id = <u32 as #rt::Decode<'_>>::take(__source, #record.at[0])?;));
        let takes = self.values.iter().enumerate().map(|(i, value)| {
            let (name, take, offset) = (value.name(), value.take(true), self.offset(i));
            quote!(let #name = #take(__source, #offset)?;)
        });
        id.into_iter().chain(takes).collect()
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

/// Nothing as `()`, one as it is, more as a tuple.
pub(crate) fn one_or_tuple(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [one] => one.clone(),
        parts => quote!((#(#parts),*)),
    }
}
