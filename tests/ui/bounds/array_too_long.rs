flounder::flounder! {
    interface test {
        typedef uint8 large[65537];
        message first(large l);
    };
}

fn main() {}
