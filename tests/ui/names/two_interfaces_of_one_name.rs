flounder::flounder! {
    interface test { message first(); };
    interface test { message first(); };
}

fn main() {}
