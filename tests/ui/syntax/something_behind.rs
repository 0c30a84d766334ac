flounder::flounder! {
    interface test { message first(); };
    message second();
}

fn main() {}
