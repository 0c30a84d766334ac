flounder::flounder! {
    interface test {
        typedef enum { FOO_BAR, foo_bar } choice;
        message first(choice c);
    };
}

fn main() {}
