flounder::flounder! {
    interface test {
        @stats
        message first();
    };
}

fn main() {}
