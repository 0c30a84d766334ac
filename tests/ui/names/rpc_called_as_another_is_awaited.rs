flounder::flounder! {
    interface test {
        rpc ask();
        rpc ask_async();
    };
}

fn main() {}
