flounder::flounder! {
    interface test {
        typedef struct { cap c; } holder;
        message first(holder h[n]);
    };
}

fn main() {}
