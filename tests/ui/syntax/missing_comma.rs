flounder::flounder! {
    interface test {
        message first(uint32 a uint32 b);
    };
}

fn main() {}
