flounder::flounder! {
    interface test {};
}

fn main() {}
