flounder::flounder! {
    interface disk {
        @ata(command=0xC8, dma_arg=data, dma_size=512)
        rpc read(in uint8 data[n, 512], out uint8 data[n, 512]);
    };
}

fn main() {}
