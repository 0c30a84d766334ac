flounder::flounder! {
    interface test {
        message first(in uint32 a);
    };
}

fn main() {}
