//! How a type lies in words: the implementations of `Shape`, `Encode` and `Decode`.
//!
//! One mechanism serves the types of interfaces and `#[derive(FlounderMessage)]`. A struct is a record of its fields. An
//! enumeration is a 32-bit tag; the fields of the variant at hand are a record of their own in the tail.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::rt::Rt;

/// A type to implement the wire traits for.
#[derive(Debug)]
pub struct WireType {
    /// The Rust name.
    pub ident: Ident,
    /// The name to use in errors.
    pub name: String,
    /// What it holds.
    pub body: Body,
    /// True if the type is known to hold nothing that has a tail, a maximum or a capability. An enumeration is `Copy` then,
    /// and its values are the tags.
    pub plain: bool,
}

/// The inside of a [`WireType`].
#[derive(Debug)]
pub enum Body {
    /// The fields of a struct.
    Struct(Vec<Member>),
    /// The variants of an enumeration; there is at least one.
    Enum(Vec<Variant>),
}

/// A variant of an enumeration.
#[derive(Debug)]
pub struct Variant {
    /// The Rust name.
    pub ident: Ident,
    /// The name in the canonical form.
    pub name: String,
    /// The fields.
    pub members: Vec<Member>,
}

/// A field.
#[derive(Debug)]
pub struct Member {
    /// The Rust name or index.
    pub member: syn::Member,
    /// The name in the canonical form.
    pub name: String,
    /// The type.
    pub ty: TokenStream,
    /// The maximum, if that is not the default of its type.
    pub max: Option<u32>,
}

/// Implements the wire traits in the scope of the type. `runtime` is the path of the `flounder` crate as seen from there.
#[must_use]
pub fn wire_impl(wire: &WireType, runtime: &syn::Path) -> TokenStream {
    let rt = Rt::here(runtime);
    let (import, traits) = (rt.import(), traits(wire, &rt));
    quote! {
        const _: () = {
            #import
            #traits
        };
    }
}

/// Generates the impls of [`wire_impl`] in a module that knows the runtime.
pub(crate) fn wire_traits(wire: &WireType, rt: &Rt) -> TokenStream {
    let traits = traits(wire, rt);
    // The layout of a struct is a constant that needs a scope.
    if wire.plain && matches!(wire.body, Body::Enum(_)) {
        traits
    } else {
        quote!(const _: () = { #traits };)
    }
}

fn traits(wire: &WireType, rt: &Rt) -> TokenStream {
    match &wire.body {
        Body::Struct(members) => structure(wire, members, rt),
        Body::Enum(variants) => enumeration(wire, variants, rt),
    }
}

fn structure(wire: &WireType, members: &[Member], rt: &Rt) -> TokenStream {
    let ident = &wire.ident;
    let record = Record { members, name: format_ident!("__REC"), plain: wire.plain, rt };
    let (layout, pattern) = (record.layout(), record.pattern());
    let parts = record.forms();
    let maxima = (!wire.plain && !members.is_empty()).then(|| {
        let (tails, caps) = (record.max_tails(), record.max_caps());
        maxima([quote!(#rt::total(&[#(#tails),*])), quote!(#rt::total(&[#(#caps),*]))], rt)
    });
    let canonical = format!("struct{}", record.canonical());
    let shape = quote! {
        #layout

        #[automatically_derived]
        impl #rt::Shape for #ident {
            const SIZE: #rt::usize = __REC.size;
            const ALIGN: #rt::usize = __REC.align;
            #maxima
            const FORM: &'static #rt::TypeForm = &#rt::TypeForm::new(#canonical, &[#(#parts),*]);
        }
    };
    let puts = record.puts(&quote!(__words), &quote!(__at+));
    let put = quote!(let Self #pattern = self; #puts);
    let step = |body: TokenStream| {
        (!wire.plain && !members.is_empty()).then(|| quote!(let Self #pattern = self; #body))
    };
    let encode = encode(
        ident,
        &put,
        [step(record.checks()), step(record.put_tails()), step(record.put_caps())],
        rt,
    );
    let takes = record.takes(&quote!(__at));
    let take = quote! {
        #takes
        __decoder.zero(__at + __REC.used, __REC.size - __REC.used)?;
        #rt::Ok(Self #pattern)
    };
    let decode = decode(ident, &take, rt);
    quote!(#shape #encode #decode)
}

fn enumeration(wire: &WireType, variants: &[Variant], rt: &Rt) -> TokenStream {
    let ident = &wire.ident;
    let records: Vec<_> =
        variants.iter().enumerate().map(|(tag, variant)| variant.record(tag, rt)).collect();
    let layouts = records.iter().filter(|record| !record.members.is_empty()).map(Record::layout);
    let canonical: Vec<_> =
        variants.iter().zip(&records).map(|(variant, record)| variant.canonical(record)).collect();
    let canonical = format!("enum{{{}}}", canonical.join(","));
    let parts = records.iter().flat_map(Record::forms);
    let tails = records.iter().filter(|record| !record.members.is_empty()).map(|record| {
        let (name, tails) = (&record.name, record.max_tails());
        quote!(#rt::total(&[#name.words, #(#tails),*]))
    });
    let caps = records.iter().filter(|record| !record.members.is_empty()).map(|record| {
        let caps = record.max_caps();
        quote!(#rt::total(&[#(#caps),*]))
    });
    let has_data = variants.iter().any(|variant| !variant.members.is_empty());
    let maxima = has_data.then(|| {
        maxima([quote!(#rt::largest(&[#(#tails),*])), quote!(#rt::largest(&[#(#caps),*]))], rt)
    });
    let shape = quote! {
        #(#layouts)*

        #[automatically_derived]
        impl #rt::Shape for #ident {
            const SIZE: #rt::usize = 4;
            const ALIGN: #rt::usize = 4;
            #maxima
            const FORM: &'static #rt::TypeForm = &#rt::TypeForm::new(#canonical, &[#(#parts),*]);
        }
    };
    let encode = encode_variants(wire, variants, &records, rt);
    let decode = decode_variants(wire, variants, &records, rt);
    quote!(#shape #encode #decode)
}

fn encode_variants(
    wire: &WireType,
    variants: &[Variant],
    records: &[Record<'_>],
    rt: &Rt,
) -> TokenStream {
    let (ident, plain) = (&wire.ident, wire.plain);
    let tags = variants.iter().zip(0u32..).map(|(variant, tag)| {
        let (name, tag) = (&variant.ident, Literal::u32_unsuffixed(tag));
        quote!(Self::#name { .. } => #tag,)
    });
    // A plain enumeration is `Copy`, and its values are the tags.
    let tag = if plain { quote!(*self as #rt::u32) } else { quote!(match self { #(#tags)* }) };
    let put = quote!(#rt::put_tag(#tag, __words, __at););
    let any = variants.iter().any(|variant| !variant.members.is_empty());
    let step = |body: fn(&Record<'_>) -> TokenStream| {
        let arms = variants.iter().zip(records).map(|(variant, record)| {
            let (name, pattern) = (&variant.ident, record.pattern());
            let body = (!record.members.is_empty()).then(|| body(record));
            quote!(Self::#name #pattern => { #body })
        });
        any.then(|| quote!(match self { #(#arms)* }))
    };
    let steps = [
        step(|record| record.checks()),
        step(|record| record.put_nested()),
        step(|record| record.put_caps()),
    ];
    encode(ident, &put, steps, rt)
}

fn decode_variants(
    wire: &WireType,
    variants: &[Variant],
    records: &[Record<'_>],
    rt: &Rt,
) -> TokenStream {
    let count = Literal::usize_unsuffixed(variants.len());
    let last = variants.len().saturating_sub(1);
    let arms = variants.iter().zip(records).enumerate().map(|(tag, (variant, record))| {
        // The tag was found to be below the count, so that the last arm takes the rest.
        let tag = if tag == last {
            quote!(_)
        } else {
            Literal::usize_unsuffixed(tag).into_token_stream()
        };
        let (ident, pattern, name) = (&variant.ident, record.pattern(), &record.name);
        let body = (!record.members.is_empty()).then(|| {
            let takes = record.takes(&quote!(__inner));
            quote! {
                let __inner = __decoder.nested(#name.words)?;
                #takes
                __decoder.zero(__inner + #name.used, #name.words * 8 - #name.used)?;
            }
        });
        quote!(#tag => { #body Self::#ident #pattern })
    });
    let name = &wire.name;
    let take = quote! {
        #rt::Ok(match __decoder.tag(__at, #count, #name)? { #(#arms)* })
    };
    decode(&wire.ident, &take, rt)
}

/// The constants for the longest tail and the most capabilities, which are 0 without them.
fn maxima([tail, caps]: [TokenStream; 2], rt: &Rt) -> TokenStream {
    quote! {
        const MAX_TAIL: #rt::usize = #tail;
        const MAX_CAPS: #rt::usize = #caps;
    }
}

/// `impl Encode`; the steps are check, tails and capabilities, each left to the trait's default if there is nothing to do.
fn encode(
    ident: &Ident,
    put: &TokenStream,
    steps: [Option<TokenStream>; 3],
    rt: &Rt,
) -> TokenStream {
    let [check, tail, caps] = steps;
    let ok = quote!(#rt::Ok(()));
    let check = check.map(|body| {
        quote! {
            #[inline]
            fn check(&self) -> #rt::Result<(), #rt::TooLong> { #body #ok }
        }
    });
    let tail = tail.map(|body| {
        quote! {
            #[inline]
            fn put_tail(&self, __tail: &mut #rt::Vec<#rt::u64>) { #body }
        }
    });
    let caps = caps.map(|body| {
        quote! {
            #[inline]
            fn put_caps<'__a>(&'__a self, __caps: &mut #rt::CapRefs<'__a>) { #body }
        }
    });
    quote! {
        #[automatically_derived]
        impl #rt::Encode for #ident {
            #check

            #[inline]
            fn put(&self, __words: &mut [#rt::u64], __at: #rt::usize) { #put }

            #tail
            #caps
        }
    }
}

/// `impl Decode`.
fn decode(ident: &Ident, take: &TokenStream, rt: &Rt) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl<'__a> #rt::Decode<'__a> for #ident {
            #[inline]
            fn take(
                __decoder: &mut #rt::Decoder<'__a>,
                __at: #rt::usize,
            ) -> #rt::Result<Self, #rt::DecodeError> {
                #take
            }
        }
    }
}

impl Variant {
    fn record<'a>(&'a self, tag: usize, rt: &'a Rt) -> Record<'a> {
        Record { members: &self.members, name: format_ident!("__REC_{tag}"), plain: false, rt }
    }

    fn canonical(&self, record: &Record<'_>) -> String {
        let fields = if self.members.is_empty() { String::new() } else { record.canonical() };
        format!("{}{fields}", self.name)
    }
}

/// Fields that lie in one record, whose layout is the `const` called `name`. In the code for each step the field `i` is
/// bound as `__i`: by reference when writing, by value when reading.
struct Record<'a> {
    members: &'a [Member],
    name: Ident,
    /// True if all types are known.
    plain: bool,
    rt: &'a Rt,
}

impl Record<'_> {
    fn layout(&self) -> TokenStream {
        let (rt, name, count) = (self.rt, &self.name, self.members.len());
        let types = self.members.iter().map(|member| &member.ty);
        quote!(const #name: #rt::Record<#count> = #rt::record([#(<#types as #rt::Shape>::PLACE),*]);)
    }

    fn canonical(&self) -> String {
        let field = |member: &Member| match member.max {
            Some(max) => format!("{}[{max}]", member.name),
            None => member.name.clone(),
        };
        format!("{{{}}}", self.members.iter().map(field).collect::<Vec<_>>().join(","))
    }

    fn max_tails(&self) -> Vec<TokenStream> {
        self.members.iter().map(|member| member.constant("MAX_TAIL", self.rt)).collect()
    }

    fn max_caps(&self) -> Vec<TokenStream> {
        self.members.iter().map(|member| member.constant("MAX_CAPS", self.rt)).collect()
    }

    fn forms(&self) -> Vec<TokenStream> {
        let rt = self.rt;
        self.members.iter().map(|Member { ty, .. }| quote!(<#ty as #rt::Shape>::FORM)).collect()
    }

    fn pattern(&self) -> TokenStream {
        let fields = self.each(|_, member, var| {
            let member = &member.member;
            quote!(#member: #var,)
        });
        quote!({ #fields })
    }

    fn checks(&self) -> TokenStream {
        let rt = self.rt;
        self.each(|_, Member { ty, max, .. }, var| match max {
            Some(max) => quote!(<#ty as #rt::Bounded<#max>>::check_bound(#var)?;),
            None => quote!(<#ty as #rt::Encode>::check(#var)?;),
        })
    }

    fn puts(&self, words: &TokenStream, base: &TokenStream) -> TokenStream {
        let (rt, record) = (self.rt, &self.name);
        self.each(|i, Member { ty, .. }, var| {
            quote!(<#ty as #rt::Encode>::put(#var, #words, #base #record.at[#i]);)
        })
    }

    fn put_tails(&self) -> TokenStream {
        let rt = self.rt;
        self.each(|_, Member { ty, .. }, var| quote!(<#ty as #rt::Encode>::put_tail(#var, __tail);))
    }

    /// The whole record in the tail, then the tails of its fields.
    fn put_nested(&self) -> TokenStream {
        let (rt, record) = (self.rt, &self.name);
        let (puts, tails) = (self.puts(&quote!(__words), &TokenStream::new()), self.put_tails());
        quote! {
            let __words = #rt::nest(__tail, #record.words);
            #puts
            #tails
        }
    }

    fn put_caps(&self) -> TokenStream {
        let rt = self.rt;
        self.each(|_, Member { ty, .. }, var| quote!(<#ty as #rt::Encode>::put_caps(#var, __caps);))
    }

    fn takes(&self, base: &TokenStream) -> TokenStream {
        let (rt, record) = (self.rt, &self.name);
        self.each(|i, Member { ty, max, .. }, var| {
            let take = match max {
                Some(max) => quote!(<#ty as #rt::TakeBounded<'__a, #max>>::take_bounded),
                None if self.plain => {
                    return quote!(let #var = __decoder.take::<#ty>(#base + #record.at[#i])?;);
                }
                // The error for a type that cannot be read names the trait, and no function.
                None => quote!(<#ty as #rt::Decode<'__a>>::take),
            };
            quote!(let #var = #take(__decoder, #base + #record.at[#i])?;)
        })
    }

    fn each(&self, code: impl Fn(Literal, &Member, Ident) -> TokenStream) -> TokenStream {
        let members = self.members.iter().enumerate();
        members
            .map(|(i, member)| code(Literal::usize_unsuffixed(i), member, format_ident!("__{i}")))
            .collect()
    }
}

impl Member {
    fn constant(&self, name: &str, rt: &Rt) -> TokenStream {
        let (ty, name) = (&self.ty, format_ident!("{name}"));
        match self.max {
            Some(max) => quote!(<#ty as #rt::Bounded<#max>>::#name),
            None => quote!(<#ty as #rt::Shape>::#name),
        }
    }
}
