flounder::flounder! {
    interface test {
        message first(OPTIONAL uint8 x);
    };
}

fn main() {}
