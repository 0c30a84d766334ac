flounder::flounder! {
    interface disk {
        @ata(lba=start)
        rpc verify(in uint32 start, out errval status);
    };
}

fn main() {}
