flounder::flounder! {
    interface test {
        #[rust_name = "Message"]
        typedef enum { A } letter;
        typedef enum { B } handlers;
        message first(letter b, handlers c);
    };
}

fn main() {}
