flounder::flounder! {
    interface test {
        typedef struct { uint8 data[len]; } buffer;
        message first(buffer b);
    };
}

fn main() {}
