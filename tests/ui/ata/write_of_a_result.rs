flounder::flounder! {
    interface disk {
        @ata(command=0xCA, dma_arg=data, dma_size=512, is_write=1)
        rpc write(out uint8 data[size, 512]);
    };
}

fn main() {}
