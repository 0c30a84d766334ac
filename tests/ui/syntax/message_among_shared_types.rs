flounder::flounder! {
    types shared { message first(); };
}

fn main() {}
