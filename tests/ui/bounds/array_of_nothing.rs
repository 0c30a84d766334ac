flounder::flounder! {
    interface test {
        typedef uint8 empty[0];
        message first(empty e);
    };
}

fn main() {}
