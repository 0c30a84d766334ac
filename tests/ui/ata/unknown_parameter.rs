flounder::flounder! {
    interface disk {
        @ata(command=0xE7, sectors=1)
        rpc flush(out errval status);
    };
}

fn main() {}
