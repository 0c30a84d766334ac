flounder::flounder! {
    interface test {
        @stats(size)
        message first();
    };
}

fn main() {}
