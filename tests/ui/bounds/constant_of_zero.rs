flounder::flounder! {
    interface test {
        const uint8 NONE = 0;
        message first(string s[NONE]);
    };
}

fn main() {}
