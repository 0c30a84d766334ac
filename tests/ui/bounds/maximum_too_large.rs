flounder::flounder! {
    interface test {
        message first(uint8 a[n, 16777217]);
    };
}

fn main() {}
