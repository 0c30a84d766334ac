//! Error numbers of the system.

use core::fmt;
use std::error::Error;
use std::io;

/// Error number of a system call, such as `EMFILE`. A source of the errors that have one.
///
/// ```
/// use std::io;
/// # use flounder_rt::Errno;
///
/// let error = Errno::from(io::Error::from(io::ErrorKind::PermissionDenied));
/// assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
/// assert_eq!(error.to_string(), "Operation not permitted (os error 1)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

impl Errno {
    /// Returns the error with this number, one of the constants of `errno(3)`.
    #[must_use]
    pub const fn from_raw_os_error(number: i32) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn raw_os_error(self) -> i32 {
        self.0
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(self) -> io::ErrorKind {
        io::Error::from(self).kind()
    }
}

crate::debug_as_chain!(Errno);

/// Writes the text of the system, as [`io::Error`] does.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&io::Error::from(*self), f)
    }
}

impl Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

/// An error that is not the system's becomes the lowest number of its kind, or `EIO`.
impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        const LAST: i32 = 133;
        let of_kind = || (1..=LAST).map(Self).find(|errno| errno.kind() == error.kind());
        match error.raw_os_error() {
            Some(number) => Self(number),
            None => of_kind().unwrap_or(Self(libc::EIO)),
        }
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_another_origin_has_a_number_of_its_kind() {
        let number = |error: io::Error| Errno::from(error).raw_os_error();
        assert_eq!(number(io::Error::from_raw_os_error(libc::EMFILE)), libc::EMFILE);
        assert_eq!(number(io::ErrorKind::NotConnected.into()), libc::ENOTCONN);
        assert_eq!(number(io::ErrorKind::PermissionDenied.into()), libc::EPERM);
        assert_eq!(number(io::Error::other("no kind")), libc::EIO);
    }
}
