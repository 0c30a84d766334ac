flounder::flounder! {
    interface test {
        typedef enum { A, B, A } choice;
        message first(choice c);
    };
}

fn main() {}
