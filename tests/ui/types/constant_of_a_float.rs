flounder::flounder! {
    interface test {
        const double HALF = 1;
        message first();
    };
}

fn main() {}
