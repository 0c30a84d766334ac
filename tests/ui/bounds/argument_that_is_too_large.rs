flounder::flounder! {
    interface test {
        message first(uint64 x[65536]);
    };
}

fn main() {}
