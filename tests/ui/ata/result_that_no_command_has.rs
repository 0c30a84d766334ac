flounder::flounder! {
    interface disk {
        @ata(command=0xE7)
        rpc flush(out uint32 seconds);
    };
}

fn main() {}
