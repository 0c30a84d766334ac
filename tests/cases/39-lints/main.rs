//! A crate that denies what rustc and clippy have to offer, with an interface of awkward names and many arguments.
#![deny(
    warnings,
    unused,
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms,
    missing_docs,
    missing_debug_implementations
)]
#![deny(
    missing_copy_implementations,
    single_use_lifetimes,
    unused_lifetimes,
    unused_results,
    unused_qualifications,
    trivial_casts,
    trivial_numeric_casts
)]
#![deny(
    let_underscore_drop,
    redundant_lifetimes,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    variant_size_differences,
    elided_lifetimes_in_paths
)]
#![deny(
    explicit_outlives_requirements,
    meta_variable_misuse,
    unused_import_braces,
    unused_macro_rules,
    macro_use_extern_crate,
    absolute_paths_not_starting_with_crate
)]
#![deny(
    ambiguous_negative_literals,
    non_ascii_idents,
    unsafe_code,
    keyword_idents_2024,
    if_let_rescope,
    tail_expr_drop_order,
    impl_trait_redundant_captures
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::cargo)]
#![allow(clippy::cargo_common_metadata, clippy::multiple_crate_versions)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::missing_inline_in_public_items
)]

flounder::flounder! {
    /// Awkward.
    pub interface awkward "Awkward names" {
        typedef enum { ALPHA_ONE, ALPHA_TWO, ALPHA_THREE } alpha;
        typedef struct { bool a; bool b; bool c; bool d; bool e; } flags;
        typedef uint8 key[32];
        message new(uint32 n);
        message to_string();
        message into_iter(
            uint32 a, uint32 b, uint32 c, uint32 d, uint32 e, uint32 f, uint32 g, uint32 h, uint32 i,
            bool j, bool k, bool l, bool m
        );
        message is_empty();
        message from_str(string s);
        message clone(flags f, alpha a, key k);
        message drop(cap c);
        message IO(uint8 camelCase, uint8 SHOUT);
        rpc len(out uint64 len);
        rpc next(out uint32 item);
        rpc default(
            in uint32 a, in uint32 b, in uint32 c, in uint32 d, in uint32 e, in uint32 f, in uint32 g,
            in uint32 h, out bool a, out bool b, out bool c, out bool d
        );
        rpc fmt(in string f, out string s);
        rpc eq(in uint8 other, out bool eq);
    };
}
