flounder::flounder! {
    import "nowhere.if";
    interface test { message first(); };
}

fn main() {}
