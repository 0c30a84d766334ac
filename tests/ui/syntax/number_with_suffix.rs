flounder::flounder! {
    interface test {
        message first(uint8 a[n, 10u32]);
    };
}

fn main() {}
