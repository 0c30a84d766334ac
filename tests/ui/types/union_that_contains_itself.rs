flounder::flounder! {
    interface test {
        typedef union { uint8 a; u b; } u;
        message first(u x);
    };
}

fn main() {}
