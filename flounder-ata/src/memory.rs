//! The DMA memory of a port: the structures that the HBA reads, and blocks for data.
//!
//! ```text
//!      0  command list
//!   1024  received FISes
//!   4096  32 command tables
//!         blocks of 4096 bytes
//! ```

use crate::structures::{HEADER_BYTES, LIST_BYTES, REGION_BYTES, REGIONS_AT};

/// Most slots of a port.
pub(crate) const SLOTS: usize = 32;
/// Offset of the memory for received FISes.
pub(crate) const RECEIVED_AT: usize = LIST_BYTES;
/// Most blocks of a command, and most regions.
pub(crate) const MAX_BLOCKS: usize = 256;
/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;
/// Most bytes of data of one command: 1 MiB.
pub const MAX_COMMAND_BYTES: usize = MAX_BLOCKS * BLOCK;
/// Least size of the DMA memory of a port: its structures, and the data of one command.
pub const MIN_DMA_BYTES: usize = BLOCKS_AT + MAX_COMMAND_BYTES;

const TABLES_AT: usize = 4096;
const TABLE_BYTES: usize = REGIONS_AT + MAX_BLOCKS * REGION_BYTES;
const BLOCKS_AT: usize = (TABLES_AT + SLOTS * TABLE_BYTES).next_multiple_of(BLOCK);

// Tables have to be aligned to 128 bytes.
const _: () = assert!(TABLE_BYTES.is_multiple_of(128) && TABLES_AT.is_multiple_of(128));

/// Returns the offset of the header of a slot.
pub(crate) const fn header_at(slot: usize) -> usize {
    slot * HEADER_BYTES
}

/// Returns the offset of the command table of a slot.
pub(crate) const fn table_at(slot: usize) -> usize {
    TABLES_AT + slot * TABLE_BYTES
}

/// Returns the offset of a block.
pub(crate) const fn block_at(block: u16) -> usize {
    BLOCKS_AT + block as usize * BLOCK
}

/// The blocks that no command has.
#[derive(Debug)]
pub(crate) struct FreeBlocks(Vec<u16>);

impl FreeBlocks {
    /// Returns the blocks of a DMA memory of `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let blocks = (bytes - BLOCKS_AT) / BLOCK;
        // Those that are taken first lie in a row.
        Self((0..blocks.min(1 << 15) as u16).rev().collect())
    }

    /// Returns the number of blocks.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Moves `count` blocks to `to`, which is empty. There have to be as many.
    #[inline]
    pub(crate) fn take(&mut self, count: usize, to: &mut Vec<u16>) {
        if count == 1
            && let Some(block) = self.0.pop()
        {
            to.push(block);
        } else {
            to.extend(self.0.drain(self.0.len() - count..).rev());
        }
    }

    /// Takes blocks back.
    pub(crate) fn put(&mut self, blocks: &mut Vec<u16>) {
        self.0.extend(blocks.drain(..).rev());
    }
}

/// Calls `region` with the offset and the bytes of each run of blocks, for data of `bytes` bytes.
#[inline]
pub(crate) fn regions(blocks: &[u16], bytes: usize, mut region: impl FnMut(usize, usize)) {
    if let [block] = blocks {
        return region(block_at(*block), bytes);
    }
    let (mut first, mut left) = (0, bytes);
    while first < blocks.len() {
        let mut end = first + 1;
        while end < blocks.len() && blocks[end] == blocks[end - 1] + 1 {
            end += 1;
        }
        let run = left.min((end - first) * BLOCK);
        region(block_at(blocks[first]), run);
        (first, left) = (end, left - run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_in_a_row_are_one_region() {
        let mut free = FreeBlocks::new(MIN_DMA_BYTES);
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        free.take(2, &mut a);
        free.take(1, &mut b);
        free.put(&mut a);
        free.take(4, &mut c);
        let mut found = Vec::new();
        regions(&c, 3 * BLOCK + 512, |at, bytes| found.push((at, bytes)));
        assert_eq!(found, [(block_at(0), 2 * BLOCK), (block_at(3), BLOCK + 512)]);
        assert_eq!(free.len(), MAX_BLOCKS - 5);
    }

    #[test]
    fn regions_never_outnumber_a_table() {
        let mut found = 0;
        let every_second: Vec<u16> = (0..MAX_BLOCKS as u16).map(|block| 2 * block).collect();
        regions(&every_second, MAX_COMMAND_BYTES, |_, bytes| {
            assert_eq!(bytes, BLOCK);
            found += 1;
        });
        assert_eq!(found, MAX_BLOCKS);
    }
}
