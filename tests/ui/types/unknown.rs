flounder::flounder! {
    interface test {
        message first(widget w);
    };
}

fn main() {}
