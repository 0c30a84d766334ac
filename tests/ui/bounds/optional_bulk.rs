flounder::flounder! {
    interface test {
        message first(optional bulk data[8]);
    };
}

fn main() {}
