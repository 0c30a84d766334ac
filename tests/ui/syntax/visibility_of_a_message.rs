flounder::flounder! {
    interface test {
        pub message first();
    };
}

fn main() {}
