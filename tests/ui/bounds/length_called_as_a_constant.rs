flounder::flounder! {
    interface test {
        const uint8 MANY = 5;
        message first(uint8 data[MANY, 8]);
    };
}

fn main() {}
