flounder::flounder! {
    interface test {
        #[rust_name = "Message"]
        typedef enum { A } letter;
        typedef enum { B } inbox;
        message first(letter b, inbox c);
    };
}

fn main() {}
