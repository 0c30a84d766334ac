flounder::flounder! {
    interface test {
        typedef enum { A } uint32;
        message first(uint32 a);
    };
}

fn main() {}
