flounder::flounder! {
    interface disk {
        typedef uint8 block[512];
        @ata(command=0xC8, dma_arg=data, dma_size=512)
        rpc read(out block data);
    };
}

fn main() {}
