//! Errors of commands, of opening a port, and of binding an interface to it.

use core::fmt;
use std::error::Error;

use flounder_rt::Errval;

flounder_rt::debug_as_chain!(AtaError, Refusal, OpenError, AttachError);

/// How a command failed. An rpc with `out errval status` returns it there ([`check`]); of others the port keeps the
/// [last one](crate::Port::last_failure).
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtaError {
    /// Nothing was issued: the arguments are no command.
    Refused(Refusal),
    /// The device ended the command with an error.
    Device {
        /// Status register. Only bit 0 is set if the device had gone on to another command when it was asked.
        status: u8,
        /// Error register; 0 if the device had gone on.
        error: u8,
    },
    /// The device reports success, and has transferred fewer bytes than were asked for.
    Short {
        /// Bytes that were transferred.
        bytes: u32,
    },
    /// The adapter could not reach the memory or the device.
    Bus,
    /// The command did not end in time, and was ended by a restart of the port.
    TimedOut,
    /// A value that no `flounder-ata` makes.
    Other(Errval),
}

/// Why arguments are no command.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The size of the data is 0, or not a multiple of the sector size; of 2 for a command with a `count`.
    Size,
    /// The data is longer than the command can count: 256 sectors, with `lba48` 65,536.
    Sectors,
    /// The data does not fit into the argument, or is over [`MAX_COMMAND_BYTES`](crate::MAX_COMMAND_BYTES).
    TooLong,
    /// The address, or that of the last sector, is over 28 bits, with `lba48` over 48.
    Address,
    /// `command`, `feature` or `count` does not fit into its register.
    Register,
}

/// Kinds of errors in the lowest 8 bits of an `errval`.
mod kind {
    pub(super) const DEVICE: u8 = 1;
    pub(super) const REFUSED: u8 = 2;
    pub(super) const SHORT: u8 = 3;
    pub(super) const BUS: u8 = 4;
    pub(super) const TIMED_OUT: u8 = 5;
}

const REFUSALS: [Refusal; 5] =
    [Refusal::Size, Refusal::Sectors, Refusal::TooLong, Refusal::Address, Refusal::Register];

/// Returns the error that the `status` of a command stands for.
///
/// ```
/// use flounder::Errval;
/// use flounder_ata::{AtaError, check};
///
/// assert_eq!(check(Errval::OK), Ok(()));
/// let failed = AtaError::Device { status: 0x51, error: 0x04 };
/// assert_eq!(check(failed.into()), Err(failed));
/// ```
///
/// # Errors
/// If the command has failed.
pub fn check(status: Errval) -> Result<(), AtaError> {
    let [kind, low, high, zero, ..] = status.0.to_le_bytes();
    let bytes = (status.0 >> 32) as u32;
    Err(match (kind, low, high, zero, bytes) {
        _ if status.is_ok() => return Ok(()),
        (kind::DEVICE, status, error, 0, 0) => AtaError::Device { status, error },
        (kind::REFUSED, why, 0, 0, 0) if usize::from(why) < REFUSALS.len() => {
            AtaError::Refused(REFUSALS[usize::from(why)])
        }
        (kind::SHORT, 0, 0, 0, bytes) => AtaError::Short { bytes },
        (kind::BUS, 0, 0, 0, 0) => AtaError::Bus,
        (kind::TIMED_OUT, 0, 0, 0, 0) => AtaError::TimedOut,
        _ => AtaError::Other(status),
    })
}

impl From<AtaError> for Errval {
    fn from(error: AtaError) -> Self {
        let [kind, low, high] = match error {
            AtaError::Device { status, error } => [kind::DEVICE, status, error],
            AtaError::Refused(refusal) => {
                let place = REFUSALS.iter().position(|known| *known == refusal);
                [kind::REFUSED, place.unwrap_or_default() as u8, 0]
            }
            AtaError::Short { .. } => [kind::SHORT, 0, 0],
            AtaError::Bus => [kind::BUS, 0, 0],
            AtaError::TimedOut => [kind::TIMED_OUT, 0, 0],
            AtaError::Other(status) => return status,
        };
        let bytes = if let AtaError::Short { bytes } = error { bytes } else { 0 };
        Self(u64::from(u32::from_le_bytes([kind, low, high, 0])) | u64::from(bytes) << 32)
    }
}

impl fmt::Display for AtaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("the arguments are no command"),
            Self::Device { status, error } => {
                write!(f, "the disk failed with status {status:#04x} and error {error:#04x}")
            }
            Self::Short { bytes } => write!(f, "the disk transferred {bytes} bytes only"),
            Self::Bus => f.write_str("the adapter could not reach the memory or the disk"),
            Self::TimedOut => f.write_str("the disk did not end the command in time"),
            Self::Other(status) => write!(f, "{status} stands for no error of a disk"),
        }
    }
}

impl Error for AtaError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the size is 0, or not a multiple of what the disk transfers",
            Self::Sectors => "the data has more sectors than the command can count",
            Self::TooLong => "the data is longer than the argument, or than 1 MiB",
            Self::Address => "the address has too many bits",
            Self::Register => {
                "the command, its feature or its count does not fit into the register"
            }
        })
    }
}

impl Error for Refusal {}

/// Error of opening a port.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The registers do not answer.
    NoHba,
    /// The HBA has no port of this index.
    NoPort {
        /// Index of the port.
        index: u32,
    },
    /// No device is connected to the port.
    NoDevice,
    /// The device is another than an ATA disk.
    NotADisk {
        /// Signature of the device.
        signature: u32,
    },
    /// The DMA memory is smaller than [`MIN_DMA_BYTES`](crate::MIN_DMA_BYTES), not aligned, or out of the reach of the HBA.
    Memory,
    /// The port did not do in time what it was told.
    Stuck {
        /// What was waited for.
        what: &'static str,
    },
    /// The disk did not identify itself.
    Identify(AtaError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHba => f.write_str("the registers of the adapter do not answer"),
            Self::NoPort { index } => write!(f, "the adapter has no port {index}"),
            Self::NoDevice => f.write_str("no device is connected to the port"),
            Self::NotADisk { signature } => {
                write!(f, "the device has the signature {signature:#010x}, which is no disk's")
            }
            Self::Memory => f.write_str(
                "the DMA memory is too small, not aligned, or out of the reach of the adapter",
            ),
            Self::Stuck { what } => write!(f, "the port hangs: {what}"),
            Self::Identify(_) => f.write_str("the disk does not identify itself"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Identify(error) => Some(error),
            _ => None,
        }
    }
}

/// Error of making a channel of a port.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// The port has a channel, which is not closed.
    Taken,
    /// A message of the interface is no command: it has no annotation `ata`, or one that its arguments do not fit.
    NoCommand {
        /// Name of the message.
        message: &'static str,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("the port has a channel that is not closed"),
            Self::NoCommand { message } => {
                write!(f, "message {message} is no command of a disk: see its annotation `ata`")
            }
        }
    }
}

impl Error for AttachError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_the_way_through_an_errval() {
        let mut errors = vec![
            AtaError::Device { status: 0x51, error: 0x84 },
            AtaError::Device { status: 1, error: 0 },
            AtaError::Short { bytes: 0 },
            AtaError::Short { bytes: u32::MAX },
            AtaError::Bus,
            AtaError::TimedOut,
            AtaError::Other(Errval(0xFF)),
            AtaError::Other(Errval(1 << 24 | 1)),
        ];
        errors.extend(REFUSALS.map(AtaError::Refused));
        for error in errors {
            assert_eq!(check(error.into()), Err(error));
        }
    }

    #[test]
    fn values_that_nothing_makes_stay_what_they_are() {
        for bits in [2 | 5 << 8, 3 | 1 << 8, 4 | 1 << 32, 6, 1 << 63] {
            assert_eq!(check(Errval(bits)), Err(AtaError::Other(Errval(bits))));
        }
    }
}
