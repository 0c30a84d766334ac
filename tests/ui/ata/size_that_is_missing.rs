flounder::flounder! {
    interface disk {
        @ata(command=0xC8, dma_arg=data)
        rpc read(out uint8 data[size, 512]);
    };
}

fn main() {}
