flounder::flounder! {
    interface test {
        message first(uint8 data[n, MANY]);
    };
}

fn main() {}
