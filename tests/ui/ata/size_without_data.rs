flounder::flounder! {
    interface disk {
        @ata(command=0xE7, dma_size=512)
        rpc flush(out errval status);
    };
}

fn main() {}
