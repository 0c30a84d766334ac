flounder::flounder! {
    interface disk {
        @ata(command=0xE7, command=0xEA)
        rpc flush(out errval status);
    };
}

fn main() {}
