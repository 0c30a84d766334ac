flounder::flounder! {
    interface disk {
        @ata(command=0xCA, dma_arg=data, dma_size=size)
        rpc write(in uint32 size, in uint8 data[n, 512]);
    };
}

fn main() {}
