flounder::flounder! {
    interface disk {
        @ata(command=0x40, lba=start)
        rpc verify(in uint32 start, in uint8 count, out errval status);
    };
}

fn main() {}
