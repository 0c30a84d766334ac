flounder::flounder! {
    interface disk {
        @ata(command=0xCA, dma_arg=data, is_write=yes)
        rpc write(in uint8 data[size, 512]);
    };
}

fn main() {}
