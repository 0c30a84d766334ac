flounder::flounder! {
    file = "nowhere.if";
    interface test { message first(); };
}

fn main() {}
