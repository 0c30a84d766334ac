flounder::flounder! {
    interface disk {
        @ata(command=0x40, lba=start)
        rpc verify(in uint32 begin, out errval status);
    };
}

fn main() {}
