flounder::flounder! {
    interface disk {
        @ata(command=0xEC, dma_arg=data, dma_size=1024)
        rpc identify(out uint8 data[size, 512]);
    };
}

fn main() {}
