flounder::flounder! {
    interface disk {
        @ata(command=0x40, lba=start)
        rpc verify(in string start, out errval status);
    };
}

fn main() {}
