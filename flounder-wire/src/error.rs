//! How every error of the library is shown.
//!
//! `Display` shows the text of the error alone. [`Error::source`] returns the error behind it, whose text it does not repeat.
//! `Debug` shows the texts of the error and of all its sources on one line, because a `main` that returns an error prints its
//! `Debug`.

use core::error::Error;
use core::fmt;

/// An error with its sources: `the binding ended before the reply came: the peer died`.
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Implements `Debug` for error types: the text, then the texts of the sources.
///
/// ```
/// #[derive(Clone)]
/// struct Lost;
///
/// flounder_wire::debug_as_chain!(Lost);
///
/// impl core::fmt::Display for Lost {
///     fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
///         f.write_str("the message was lost")
///     }
/// }
///
/// impl core::error::Error for Lost {}
///
/// assert_eq!(format!("{:?}", Lost), "the message was lost");
/// ```
#[macro_export]
macro_rules! debug_as_chain {
    ($($error:ty),+ $(,)?) => {$(
        impl ::core::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&$crate::error::Chain(self), f)
            }
        }
    )+};
}
