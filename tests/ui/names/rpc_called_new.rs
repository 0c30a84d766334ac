flounder::flounder! {
    interface test {
        rpc new();
    };
}

fn main() {}
