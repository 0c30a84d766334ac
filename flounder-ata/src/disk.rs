//! What a disk says of itself.

use crate::command::SECTOR;

/// Bytes of what IDENTIFY DEVICE returns.
pub(crate) const IDENTIFY_BYTES: usize = 512;

/// What a disk says of itself, in its answer to IDENTIFY DEVICE. All of it is a claim of the disk.
///
/// ```
/// use flounder_ata::model::Model;
/// use flounder_ata::{Disk, Port};
///
/// let port = Port::open(Model::new(2048), 0)?;
/// let disk: &Disk = port.disk();
/// assert_eq!((disk.sectors(), disk.sector_bytes()), (2048, 512));
/// # Ok::<(), flounder_ata::OpenError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    model: String,
    serial: String,
    firmware: String,
    sectors: u64,
    sector_bytes: u32,
    is_lba48: bool,
}

impl Disk {
    /// Reads the answer to IDENTIFY DEVICE, 512 bytes.
    ///
    /// A size of sectors that is no power of two from 512 to 65,536 is taken for 512.
    #[must_use]
    pub fn parse(data: &[u8; IDENTIFY_BYTES]) -> Self {
        let word = |i: usize| u16::from_le_bytes([data[2 * i], data[2 * i + 1]]);
        let number = |i: usize, count: usize| {
            (0..count).fold(0, |sum, k| sum | u64::from(word(i + k)) << (16 * k))
        };
        // In each word, the first character is in the upper half.
        let text = |i: usize, count: usize| {
            let chars = (i..i + count).flat_map(|i| word(i).to_be_bytes());
            let shown = |byte: u8| if matches!(byte, b' '..=b'~') { byte as char } else { '?' };
            chars.map(shown).collect::<String>().trim().to_owned()
        };
        let is_valid = |word: u16| word >> 14 == 1;
        let is_lba48 = is_valid(word(83)) && word(83) & 1 << 10 != 0;
        let has_long_sectors = is_valid(word(106)) && word(106) & 1 << 12 != 0;
        let bytes = if has_long_sectors { 2 * number(117, 2) } else { SECTOR.into() };
        let is_size = bytes.is_power_of_two() && (512..=65_536).contains(&bytes);
        Self {
            model: text(27, 20),
            serial: text(10, 10),
            firmware: text(23, 4),
            sectors: if is_lba48 { number(100, 4) } else { number(60, 2) },
            sector_bytes: if is_size { bytes as u32 } else { SECTOR },
            is_lba48,
        }
    }

    /// Returns the name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns the serial number.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Returns the version of the firmware.
    #[must_use]
    pub fn firmware(&self) -> &str {
        &self.firmware
    }

    /// Returns the number of sectors.
    #[must_use]
    pub const fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Returns the bytes of a sector: a power of two, 512 at least.
    #[must_use]
    pub const fn sector_bytes(&self) -> u32 {
        self.sector_bytes
    }

    /// Returns true if the disk has commands with addresses of 48 bits.
    #[must_use]
    pub const fn has_lba48(&self) -> bool {
        self.is_lba48
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &[(usize, u16)]) -> Disk {
        let mut data = [0; IDENTIFY_BYTES];
        for (i, word) in words {
            data[2 * i..2 * i + 2].copy_from_slice(&word.to_le_bytes());
        }
        Disk::parse(&data)
    }

    #[test]
    fn sectors_are_512_bytes_unless_the_disk_has_larger_ones() {
        assert_eq!(with(&[]).sector_bytes(), 512);
        assert_eq!(with(&[(106, 1 << 14 | 1 << 12), (117, 2048)]).sector_bytes(), 4096);
        assert_eq!(with(&[(106, 1 << 12), (117, 2048)]).sector_bytes(), 512, "not valid");
        for words in [0, 1, 100, 1000] {
            let claims = with(&[(106, 1 << 14 | 1 << 12), (117, words)]);
            assert_eq!(claims.sector_bytes(), 512, "{words}");
        }
        assert_eq!(with(&[(106, 1 << 14 | 1 << 12), (118, 0xFFFF)]).sector_bytes(), 512);
    }

    #[test]
    fn text_is_printable_whatever_the_disk_says() {
        let disk = with(&[(27, 0x5145), (28, 0x4D55), (29, 0x1B5B)]);
        assert!(disk.model().starts_with("QEMU?["), "{}", disk.model());
        assert!(disk.model().chars().all(|char| matches!(char, ' '..='~')));
    }

    #[test]
    fn size_is_the_one_with_48_bits_where_there_is_one() {
        assert_eq!(with(&[(60, 5), (61, 1), (100, 7)]).sectors(), 0x1_0005);
        assert_eq!(
            with(&[(60, 5), (83, 1 << 14 | 1 << 10), (100, 7), (102, 1)]).sectors(),
            (1 << 32) + 7
        );
    }
}
