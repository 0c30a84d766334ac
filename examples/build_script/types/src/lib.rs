//! Types that interfaces share.

// Types alone need no build script.
flounder::flounder! {
    import "if/shapes.if";
}
