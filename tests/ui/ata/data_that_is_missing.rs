flounder::flounder! {
    interface disk {
        @ata(command=0xEC, dma_arg=buffer, dma_size=512)
        rpc identify(out uint8 data[size, 512]);
    };
}

fn main() {}
