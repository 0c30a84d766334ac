flounder::flounder! {
    interface test {
        typedef enum { A } async_rx;
        message first(async_rx b);
    };
}

fn main() {}
