flounder::flounder! {
    interface test {
        message first(uint32 a)
        message second();
    };
}

fn main() {}
