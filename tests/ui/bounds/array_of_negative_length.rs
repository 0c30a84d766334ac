flounder::flounder! {
    interface test {
        typedef uint8 empty[-1];
        message first(empty e);
    };
}

fn main() {}
