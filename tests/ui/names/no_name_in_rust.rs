flounder::flounder! {
    interface test {
        message first(uint32 self);
    };
}

fn main() {}
