flounder::flounder! {
    interface test {
        rpc ask();
        message ask_call();
    };
}

fn main() {}
