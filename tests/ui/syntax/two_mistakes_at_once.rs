flounder::flounder! {
    interface test {
        message first(unit32 a);
        message first();
    };
}

fn main() {}
