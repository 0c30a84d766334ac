flounder::flounder! {
    interface disk {
        @ata(command=0x40, lba=next)
        rpc verify(out uint32 next);
    };
}

fn main() {}
