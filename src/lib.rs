//! Typed message passing.
