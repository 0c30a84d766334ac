flounder::flounder! {
    interface test {
        message first(bulk pixels);
    };
}

fn main() {}
