flounder::flounder! {
    interface disk {
        @ata(command=0xE7)
        message flush();
    };
}

fn main() {}
