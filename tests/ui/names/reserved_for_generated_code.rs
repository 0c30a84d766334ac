flounder::flounder! {
    interface test {
        message first(uint32 __words);
    };
}

fn main() {}
