flounder::flounder! {
    interface test {
        message first(string s[16777217]);
    };
}

fn main() {}
