flounder::flounder! {
    interface test {
        rpc ask(out uint32 a, out uint8 a);
    };
}

fn main() {}
