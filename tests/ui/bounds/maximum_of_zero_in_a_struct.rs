flounder::flounder! {
    interface test {
        typedef struct { uint8 x[n, 0]; } buffer;
        message first(buffer b);
    };
}

fn main() {}
