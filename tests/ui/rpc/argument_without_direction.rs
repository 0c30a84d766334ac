flounder::flounder! {
    interface test {
        rpc ask(uint32 a);
    };
}

fn main() {}
