flounder::flounder! {
    interface disk {
        @ata(command=0xCA, dma_arg=data)
        rpc write(in uint16 data[size, 256]);
    };
}

fn main() {}
