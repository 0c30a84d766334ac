flounder::flounder! {
    interface disk {
        typedef uint8 block[512];
        @ata(command=0xC8, dma_arg=data, lba=0x10000000)
        rpc read(out block data);
    };
}

fn main() {}
