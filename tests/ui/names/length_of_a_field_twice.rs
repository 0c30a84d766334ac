flounder::flounder! {
    interface test {
        typedef struct { uint8 x[n]; uint8 n; } buffer;
        message first(buffer b);
    };
}

fn main() {}
