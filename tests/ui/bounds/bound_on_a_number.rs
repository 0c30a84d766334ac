flounder::flounder! {
    interface test {
        message first(uint32 a[8]);
    };
}

fn main() {}
