flounder::flounder! {
    interface test {
        rpc timeout();
    };
}

fn main() {}
