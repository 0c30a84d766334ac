flounder::flounder! {
    interface test {
        message first(cap c[n]);
    };
}

fn main() {}
