flounder::flounder! {
    interface test {
        typedef union { uint8 a; uint8 b[1025]; } u;
        message first(u x);
    };
}

fn main() {}
