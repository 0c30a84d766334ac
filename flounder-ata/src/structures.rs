//! The structures that software writes for an HBA: a command header, a register FIS and a table of regions, as bytes.
//!
//! ```text
//! command list, 1024 bytes     32 headers of 32 bytes
//!                                 0  length of the FIS in words, W (write), C (clear busy) | number of regions
//!                                 4  bytes transferred, by the HBA
//!                                 8  address of the command table
//! command table                   0  FIS of 20 bytes
//!                              0x80  regions of 16 bytes: address, 0, length - 1
//! ```

/// Bytes of a command list.
pub(crate) const LIST_BYTES: usize = 1024;
/// Bytes of a command header.
pub(crate) const HEADER_BYTES: usize = 32;
/// Offset of the transferred bytes in a header.
pub(crate) const HEADER_TRANSFERRED: usize = 4;
/// Bytes of the memory for received FISes.
pub(crate) const RECEIVED_BYTES: usize = 256;
/// Offset of the regions in a command table.
pub(crate) const REGIONS_AT: usize = 0x80;
/// Bytes of a region.
pub(crate) const REGION_BYTES: usize = 16;
/// Bytes of a register FIS.
pub(crate) const FIS_BYTES: usize = 20;
/// Type of a register FIS from the host to the device.
pub(crate) const FIS_TO_DEVICE: u8 = 0x27;

/// What goes into the registers of the device. Each value fits into its register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) command: u8,
    pub(crate) feature: u16,
    pub(crate) count: u16,
    pub(crate) lba: u64,
    /// True for a command with addresses of 48 bits.
    pub(crate) is_lba48: bool,
}

impl Registers {
    /// Returns the register FIS.
    pub(crate) const fn fis(&self) -> [u8; FIS_BYTES] {
        let (lba, feature, count) =
            (self.lba.to_le_bytes(), self.feature.to_le_bytes(), self.count.to_le_bytes());
        // Bit 6 of the device register: this is an LBA. With 28 bits, the highest four are in that register.
        let device = 1 << 6 | if self.is_lba48 { 0 } else { lba[3] & 0xF };
        let high = if self.is_lba48 { [lba[3], lba[4], lba[5]] } else { [0; 3] };
        let is_command = 1 << 7;
        [
            FIS_TO_DEVICE,
            is_command,
            self.command,
            feature[0],
            lba[0],
            lba[1],
            lba[2],
            device,
            high[0],
            high[1],
            high[2],
            feature[1],
            count[0],
            count[1],
            0,
            0,
            0,
            0,
            0,
            0,
        ]
    }
}

/// Returns the header of a command whose table is at `table`.
pub(crate) fn header(is_write: bool, regions: u16, table: u64) -> [u8; HEADER_BYTES] {
    let flags = (FIS_BYTES / 4) as u16 | if is_write { 1 << 6 } else { 0 };
    let mut header = [0; HEADER_BYTES];
    header[0..2].copy_from_slice(&flags.to_le_bytes());
    header[2..4].copy_from_slice(&regions.to_le_bytes());
    header[8..16].copy_from_slice(&table.to_le_bytes());
    header
}

/// Returns a region of at least 2 bytes, an even number.
pub(crate) fn region(address: u64, bytes: u32) -> [u8; REGION_BYTES] {
    let mut region = [0; REGION_BYTES];
    region[0..8].copy_from_slice(&address.to_le_bytes());
    region[12..16].copy_from_slice(&(bytes - 1).to_le_bytes());
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERS: Registers =
        Registers { command: 0xC8, feature: 0, count: 4, lba: 0x0ABC_DEF1, is_lba48: false };

    #[test]
    fn highest_bits_of_28_are_in_the_device_register() {
        let fis = REGISTERS.fis();
        assert_eq!(fis[..8], [0x27, 0x80, 0xC8, 0, 0xF1, 0xDE, 0xBC, 0x4A]);
        assert_eq!(fis[8..], [0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn highest_bits_of_48_are_in_registers_of_their_own() {
        let wide = Registers {
            command: 0x25,
            lba: 0x6655_4433_2211,
            count: 0x0102,
            is_lba48: true,
            ..REGISTERS
        };
        let fis = wide.fis();
        assert_eq!(fis[4..11], [0x11, 0x22, 0x33, 0x40, 0x44, 0x55, 0x66]);
        assert_eq!(fis[12..14], [0x02, 0x01]);
    }

    #[test]
    fn header_and_region_have_their_fields_in_place() {
        let header = header(true, 3, 0x1_2345_6780);
        assert_eq!(header[..8], [0x45, 0, 3, 0, 0, 0, 0, 0]);
        assert_eq!(header[8..16], 0x1_2345_6780_u64.to_le_bytes());
        assert_eq!(region(0x1000, 512)[..], [0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 1, 0, 0]);
    }
}
