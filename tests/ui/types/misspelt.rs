flounder::flounder! {
    interface test {
        message first(unit32 a);
    };
}

fn main() {}
