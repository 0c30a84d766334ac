flounder::flounder! {
    interface test {
        typedef struct { node next; } node;
        message first(node n);
    };
}

fn main() {}
