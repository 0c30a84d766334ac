flounder::flounder! {
    interface test {
        typedef enum { A } choice;
        alias other choice;
        message first(other o);
    };
}

fn main() {}
