flounder::flounder! {
    interface test {
        message first(uint8 a[n], uint8 b[n]);
    };
}

fn main() {}
