flounder::flounder! {
    interface test {
        const uint8 MANY = 5;
        message first(MANY x);
    };
}

fn main() {}
