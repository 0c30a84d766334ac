//! The disk of the model, and the rules for command headers, FISes and regions.

use super::{ADDRESS, State};
use crate::hba::port;

/// Error register: the command was aborted.
const ABORTED: u8 = 0x04;
/// Error register: there is no such sector.
const NOT_FOUND: u8 = 0x10;
/// Error register: a sector cannot be read.
const UNCORRECTABLE: u8 = 0x40;

/// The disk.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) bytes: Vec<u8>,
    sector: usize,
    pub(super) bad: Vec<u64>,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Identify,
    Verify,
    Flush,
    SetFeatures,
}

impl Kind {
    /// Returns what a command does, and whether its addresses have 48 bits.
    const fn of(command: u8) -> Option<(Self, bool)> {
        Some(match command {
            0xC8 => (Self::Read, false),
            0x25 => (Self::Read, true),
            0xCA => (Self::Write, false),
            0x35 => (Self::Write, true),
            0x40 => (Self::Verify, false),
            0x42 => (Self::Verify, true),
            0xE7 => (Self::Flush, false),
            0xEA => (Self::Flush, true),
            0xEC => (Self::Identify, false),
            0xEF => (Self::SetFeatures, false),
            _ => return None,
        })
    }
}

impl Device {
    pub(super) fn new(sectors: usize, sector: usize) -> Self {
        Self { bytes: vec![0; sectors * sector], sector, bad: Vec::new() }
    }

    fn identify(&self) -> Vec<u8> {
        let mut words = [0_u16; 256];
        // Not removable.
        words[0] = 1 << 6;
        let mut text = |at: usize, count: usize, text: &str| {
            let mut bytes = text.bytes().chain(core::iter::repeat(b' '));
            for word in &mut words[at..at + count] {
                let mut next = || bytes.next().unwrap_or(b' ');
                *word = u16::from_be_bytes([next(), next()]);
            }
        };
        text(10, 10, "M0DE1");
        text(23, 4, "1.0");
        text(27, 20, "flounder model disk");
        let sectors = self.bytes.len() / self.sector;
        let small = sectors.min((1 << 28) - 1);
        (words[60], words[61]) = (small as u16, (small >> 16) as u16);
        words[83] = 1 << 14 | 1 << 10;
        (words[100], words[101]) = (sectors as u16, (sectors >> 16) as u16);
        if self.sector != 512 {
            words[106] = 1 << 14 | 1 << 12;
            words[117] = (self.sector / 2) as u16;
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Returns the bytes of some sectors.
    fn range(&self, lba: u64, count: u64) -> Result<core::ops::Range<usize>, u8> {
        if lba + count > (self.bytes.len() / self.sector) as u64 {
            return Err(NOT_FOUND);
        }
        if self.bad.iter().any(|bad| (lba..lba + count).contains(bad)) {
            return Err(UNCORRECTABLE);
        }
        let begin = lba as usize * self.sector;
        Ok(begin..begin + count as usize * self.sector)
    }
}

/// Carries out the command of a slot. Returns the interrupt, or the error register, and the bytes transferred.
pub(super) fn execute(state: &mut State, slot: u32) -> (Result<u32, u8>, u32) {
    let Some(Fetched { fis, is_write, regions }) = fetch(state, slot) else {
        return (Err(ABORTED), 0);
    };
    let total: usize = regions.iter().map(|(_, bytes)| bytes).sum();
    let Some((kind, is_wide)) = Kind::of(fis[2]) else { return (Err(ABORTED), 0) };
    let byte = |i: usize| u64::from(fis[i]);
    let lba = byte(4) | byte(5) << 8 | byte(6) << 16;
    let (lba, count) = if is_wide {
        let count = byte(12) | byte(13) << 8;
        state.check(fis[7] & 0xF == 0, "an LBA of 48 bits has bits in the device register");
        (
            lba | byte(8) << 24 | byte(9) << 32 | byte(10) << 40,
            if count == 0 { 1 << 16 } else { count },
        )
    } else {
        let upper = [8, 9, 10, 11, 13].iter().all(|i| fis[*i] == 0);
        state.check(upper, "a command of 28 bits has upper bytes");
        (lba | (byte(7) & 0xF) << 24, if byte(12) == 0 { 256 } else { byte(12) })
    };
    state.check(is_write == (kind == Kind::Write), "the write bit of a header is wrong");
    let expected = match kind {
        Kind::Read | Kind::Write => count as usize * state.device.sector,
        Kind::Identify => 512,
        Kind::Verify | Kind::Flush | Kind::SetFeatures => 0,
    };
    state.check(total == expected, "the regions have another size than the command");
    if total != expected {
        return (Err(ABORTED), 0);
    }
    if expected != 0 && state.happens(state.behaviour.errors) {
        // Of what has failed, any part may have been transferred, unless that is all that tells a failure.
        let most = if state.behaviour.goes_on { expected } else { expected + 1 };
        return (Err(UNCORRECTABLE), state.below(most as u32));
    }
    let range = match kind {
        Kind::Read | Kind::Write | Kind::Verify => match state.device.range(lba, count) {
            Ok(range) => range,
            Err(error) => return (Err(error), 0),
        },
        Kind::Identify | Kind::Flush | Kind::SetFeatures => 0..0,
    };
    match kind {
        Kind::Read => {
            let short = state.happens(state.behaviour.shorts);
            let bytes =
                if short { 2 * state.below(expected as u32 / 2) as usize } else { expected };
            let data = state.device.bytes[range][..bytes].to_vec();
            state.put(&regions, &data);
            // Which FIS comes last is up to the device.
            let causes = [port::IS_REGISTERS, port::IS_PIO_SETUP];
            (Ok(causes[state.below(2) as usize]), bytes as u32)
        }
        Kind::Identify => {
            let data = state.device.identify();
            state.put(&regions, &data);
            (Ok(port::IS_PIO_SETUP), expected as u32)
        }
        Kind::Write => {
            let mut at = range.start;
            for (offset, bytes) in regions {
                let piece = &state.memory[offset..offset + bytes];
                state.device.bytes[at..at + bytes].copy_from_slice(piece);
                at += bytes;
            }
            (Ok(port::IS_REGISTERS), expected as u32)
        }
        Kind::Verify | Kind::Flush | Kind::SetFeatures => (Ok(port::IS_REGISTERS), 0),
    }
}

/// What a slot tells the device to do.
struct Fetched {
    fis: [u8; 20],
    is_write: bool,
    /// Offset and bytes of each region.
    regions: Vec<(usize, usize)>,
}

/// Reads header, FIS and regions of a slot, and complains about what is wrong with them. Returns `None` if they cannot be
/// followed.
fn fetch(state: &mut State, slot: u32) -> Option<Fetched> {
    let is_honest = !state.behaviour.is_hostile;
    let header: [u8; 32] = bytes_at(state, state.header_of(slot))?;
    let flags = u16::from_le_bytes([header[0], header[1]]);
    let count = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let table = u64::from_le_bytes(header[8..16].try_into().ok()?);
    let mut check = |holds: bool, complaint| state.check(holds || !is_honest, complaint);
    check(flags & 0x1F == 5, "the FIS has another length than 5 words");
    check(flags & !0x5F == 0, "bits of a header are set beside length and write");
    check(header[4..8] == [0; 4], "the count of a header does not begin with 0");
    check(table.is_multiple_of(128), "a command table is not aligned");
    check(header[16..] == [0; 16], "reserved bytes of a header are set");
    let table = offset(table)?;
    let fis: [u8; 20] = bytes_at(state, table)?;
    let mut check = |holds: bool, complaint| state.check(holds || !is_honest, complaint);
    check(fis[0] == 0x27 && fis[1] == 0x80, "the FIS is no command to the device");
    check(fis[7] & 0xB0 == 0, "reserved bits of the device register are set");
    check(fis[7] & 0x40 != 0, "the address is no LBA");
    check(fis[14..] == [0; 6], "reserved bytes of a FIS are set");
    let mut regions = Vec::new();
    for i in 0..count {
        let region: [u8; 16] = bytes_at(state, table + 0x80 + 16 * i)?;
        let address = u64::from_le_bytes(region[..8].try_into().ok()?);
        let size = u32::from_le_bytes(region[12..].try_into().ok()?);
        let mut check = |holds: bool, complaint| state.check(holds || !is_honest, complaint);
        check(address.is_multiple_of(2), "a region begins at an odd address");
        check(region[8..12] == [0; 4], "reserved bytes of a region are set");
        check(size & 0xFFC0_0000 == 0, "reserved bits of a region are set");
        check(size % 2 == 1, "a region has an odd length");
        let (at, bytes) = (offset(address), (size & 0x3F_FFFF) as usize + 1);
        let at = at.filter(|at| at.checked_add(bytes).is_some_and(|end| end <= state.memory.len()));
        state.check(at.is_some() || !is_honest, "a region lies outside of the DMA memory");
        regions.push((at?, bytes));
    }
    Some(Fetched { fis, is_write: flags & 1 << 6 != 0, regions })
}

/// Returns the offset in memory of an address; `None` if it is before it.
fn offset(address: u64) -> Option<usize> {
    usize::try_from(address.checked_sub(ADDRESS)?).ok()
}

fn bytes_at<const N: usize>(state: &State, at: usize) -> Option<[u8; N]> {
    state.memory.get(at..at.checked_add(N)?)?.try_into().ok()
}

impl State {
    /// Writes data to regions.
    fn put(&mut self, regions: &[(usize, usize)], mut data: &[u8]) {
        for (offset, bytes) in regions {
            let (piece, rest) = data.split_at((*bytes).min(data.len()));
            self.memory[*offset..offset + piece.len()].copy_from_slice(piece);
            data = rest;
        }
    }
}
