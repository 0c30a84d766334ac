flounder::flounder! {
    interface disk {
        @ata(command=0x100)
        rpc flush(out errval status);
    };
}

fn main() {}
