flounder::flounder! {
    interface test {
        message first(uint8 a[n, 1.5]);
    };
}

fn main() {}
