flounder::flounder! {
    interface test {
        message first(uint8 a[n, 0]);
    };
}

fn main() {}
