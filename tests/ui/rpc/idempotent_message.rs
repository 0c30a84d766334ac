flounder::flounder! {
    interface test {
        @idempotent
        message first();
    };
}

fn main() {}
