flounder::flounder! {
    interface test {
        typedef enum { A } ask_reply;
        rpc ask(in ask_reply a);
    };
}

fn main() {}
