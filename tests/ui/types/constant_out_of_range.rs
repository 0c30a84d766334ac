flounder::flounder! {
    interface test {
        const uint8 MANY = 256;
        message first();
    };
}

fn main() {}
