flounder::flounder! {
    interface test {
        typedef struct { } nothing;
        message first(nothing n);
    };
}

fn main() {}
