flounder::flounder! {
    interface test {
        typedef enum { A } shared_binding;
        message first(shared_binding b);
    };
}

fn main() {}
