flounder::flounder! {
    interface test {
        const uint8 INTERFACE = 5;
        message first();
    };
}

fn main() {}
