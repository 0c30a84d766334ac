flounder::flounder! {
    interface test {
        typedef enum { A } binding;
        message first(binding b);
    };
}

fn main() {}
