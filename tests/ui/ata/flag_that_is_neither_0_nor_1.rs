flounder::flounder! {
    interface disk {
        @ata(command=0xEA, lba48=2)
        rpc flush(out errval status);
    };
}

fn main() {}
