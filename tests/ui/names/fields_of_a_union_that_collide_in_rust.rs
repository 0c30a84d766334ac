flounder::flounder! {
    interface test {
        typedef union { uint8 a_b; uint8 aB; } u;
        message first(u x);
    };
}

fn main() {}
