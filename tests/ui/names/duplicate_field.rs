flounder::flounder! {
    interface test {
        typedef struct { uint32 a; uint8 a; } pair;
        message first(pair p);
    };
}

fn main() {}
