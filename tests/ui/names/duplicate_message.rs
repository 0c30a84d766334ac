flounder::flounder! {
    interface test {
        message first();
        message first(uint32 a);
    };
}

fn main() {}
