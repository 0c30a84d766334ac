flounder::flounder! {
    interface test {
        #[rust_name = "not a name"]
        message first();
    };
}

fn main() {}
