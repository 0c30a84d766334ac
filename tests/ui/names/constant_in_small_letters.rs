flounder::flounder! {
    interface test {
        const uint8 many = 5;
        message first(uint8 data[n, many]);
    };
}

fn main() {}
