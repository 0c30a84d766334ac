flounder::flounder! {
    interface test {
        typedef struct { bulk pixels[4096]; } frame;
        message first(frame f);
    };
}

fn main() {}
