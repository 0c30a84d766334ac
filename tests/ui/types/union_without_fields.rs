flounder::flounder! {
    interface test {
        typedef union { } nothing;
        message first(nothing n);
    };
}

fn main() {}
