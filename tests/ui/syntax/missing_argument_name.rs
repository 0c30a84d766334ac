flounder::flounder! {
    interface test {
        message first(uint32);
    };
}

fn main() {}
