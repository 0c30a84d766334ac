flounder::flounder! {
    interface test {
        message first(string s[0]);
    };
}

fn main() {}
