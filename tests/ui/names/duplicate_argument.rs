flounder::flounder! {
    interface test {
        message first(uint32 a, uint8 a);
    };
}

fn main() {}
