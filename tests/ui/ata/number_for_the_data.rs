flounder::flounder! {
    interface disk {
        @ata(command=0xC8, dma_arg=1)
        rpc read(out errval status);
    };
}

fn main() {}
