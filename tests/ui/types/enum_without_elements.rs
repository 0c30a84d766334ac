flounder::flounder! {
    interface test {
        typedef enum { } nothing;
        message first(nothing n);
    };
}

fn main() {}
