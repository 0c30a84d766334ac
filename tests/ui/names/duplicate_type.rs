flounder::flounder! {
    interface test {
        typedef enum { A } choice;
        typedef uint8 choice[4];
        message first(choice c);
    };
}

fn main() {}
