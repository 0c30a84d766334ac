//! `#[derive(FlounderMessage)]`: from a Rust type to what the generator implements.

use flounder_codegen::{Body, Member, Variant, WireType};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::visit::{self, Visit};
use syn::{Attribute, Data, DeriveInput, Error, Fields, LitInt, Path};

/// The largest maximum of a string or sequence.
const MAX_MAX: u32 = 16 * 1024 * 1024;

/// The expansion of a derive.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let runtime = runtime(&input, &mut errors);
    let wire = wire_type(&input, &mut errors);
    match errors.0 {
        None => flounder_codegen::wire_impl(&wire, &runtime),
        Some(error) => {
            let (error, fallback) = (error.into_compile_error(), fallback(&input, &runtime));
            quote!(#error #fallback)
        }
    }
}

/// What is wrong, all of it.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    fn at(&mut self, place: impl ToTokens, message: &str) {
        self.push(Error::new_spanned(place, message));
    }
}

fn runtime(input: &DeriveInput, errors: &mut Errors) -> Path {
    let mut runtime = syn::parse_quote!(::flounder);
    each_setting(&input.attrs, errors, |meta| {
        if !meta.path.is_ident("crate") {
            return Err(meta.error(
                "unknown setting\n= help: a type has `crate = path`; `max = N` goes on a field",
            ));
        }
        runtime = meta.value()?.call(Path::parse_mod_style)?;
        Ok(())
    });
    runtime
}

fn wire_type(input: &DeriveInput, errors: &mut Errors) -> WireType {
    if !input.generics.params.is_empty() {
        errors.at(
            &input.generics,
            "a generic type cannot be a message\n= help: a message has one layout: derive for a type without parameters",
        );
    }
    let name = plain(&input.ident);
    let body = match &input.data {
        Data::Struct(data) => Body::Struct(members(&data.fields, &input.ident, errors)),
        Data::Enum(data) => {
            if data.variants.is_empty() {
                errors.at(&input.ident, "an enumeration without variants has no value to send");
            }
            let variants = data.variants.iter().map(|variant| {
                each_setting(&variant.attrs, errors, |meta| {
                    Err(meta.error("a variant has no settings"))
                });
                let members = members(&variant.fields, &input.ident, errors);
                Variant { ident: variant.ident.clone(), name: plain(&variant.ident), members }
            });
            Body::Enum(variants.collect())
        }
        Data::Union(data) => {
            let message = "a union cannot be a message\n= help: nothing says which field is valid: use an enum with data";
            errors.at(data.union_token, message);
            Body::Struct(Vec::new())
        }
    };
    WireType { ident: input.ident.clone(), name, body, plain: false }
}

fn members(fields: &Fields, owner: &Ident, errors: &mut Errors) -> Vec<Member> {
    let members = fields.members().zip(fields);
    members
        .map(|(member, field)| {
            Recursion { owner, errors }.visit_type(&field.ty);
            let name = match &member {
                syn::Member::Named(ident) => plain(ident),
                syn::Member::Unnamed(index) => index.index.to_string(),
            };
            Member {
                member,
                name,
                ty: field.ty.to_token_stream(),
                max: maximum(&field.attrs, errors),
            }
        })
        .collect()
}

/// `#[flounder(max = N)]`
fn maximum(attributes: &[Attribute], errors: &mut Errors) -> Option<u32> {
    let mut max = None;
    each_setting(attributes, errors, |meta| {
        if !meta.path.is_ident("max") {
            return Err(meta.error(
                "unknown setting\n= help: a field has `max = N`; `crate = path` goes on the type",
            ));
        }
        let literal: LitInt = meta.value()?.parse()?;
        match literal.base10_parse() {
            Ok(value @ 1..=MAX_MAX) => max = Some(value),
            _ => {
                return Err(Error::new_spanned(
                    literal,
                    format!("a maximum is a number from 1 to {MAX_MAX}"),
                ));
            }
        }
        Ok(())
    });
    max.filter(|max| *max != flounder_idl::model::DEFAULT_MAX)
}

fn each_setting(
    attributes: &[Attribute],
    errors: &mut Errors,
    mut read: impl FnMut(syn::meta::ParseNestedMeta<'_>) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("flounder")) {
        if let Err(error) = attribute.parse_nested_meta(&mut read) {
            errors.push(error);
        }
    }
}

/// Finds a type inside itself. By way of a second type it is rustc that finds it.
struct Recursion<'a> {
    owner: &'a Ident,
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for Recursion<'_> {
    fn visit_path(&mut self, path: &'ast Path) {
        if path.is_ident(self.owner) || path.is_ident("Self") {
            let message = "a message type cannot contain itself\n= help: its values could be nested without end: send the \
                           parts as a sequence of a type that holds no other";
            self.errors.at(path, message);
        }
        visit::visit_path(self, path);
    }
}

/// Implementations that keep one mistake one error; the error beside them keeps them from ever running.
fn fallback(input: &DeriveInput, runtime: &Path) -> TokenStream {
    let ident = &input.ident;
    let (_, parameters, bounds) = input.generics.split_for_impl();
    let mut generics = input.generics.clone();
    generics.params.insert(0, syn::parse_quote!('__a));
    let (decode, ..) = generics.split_for_impl();
    let (plain, ..) = input.generics.split_for_impl();
    quote! {
        const _: () = {
            use #runtime::__private as __rt;
            use __rt::core::{primitive, result::Result};
            impl #plain __rt::Shape for #ident #parameters #bounds {
                const SIZE: primitive::usize = 0;
                const ALIGN: primitive::usize = 1;
                const MAX_TAIL: primitive::usize = 0;
                const MAX_CAPS: primitive::usize = 0;
                const FORM: &'static __rt::TypeForm = &__rt::TypeForm::new("struct{}", &[]);
            }
            impl #plain __rt::Encode for #ident #parameters #bounds {
                fn put(&self, _: &mut [primitive::u64], _: primitive::usize) {}
            }
            impl #decode __rt::Decode<'__a> for #ident #parameters #bounds {
                fn take(_: &mut __rt::Decoder<'__a>, _: primitive::usize) -> Result<Self, __rt::DecodeError> {
                    loop {}
                }
            }
        };
    }
}

/// A name without `r#`.
fn plain(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}
