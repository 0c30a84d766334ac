flounder::flounder! {
    crate = ;
    interface test { message first(); };
}

fn main() {}
