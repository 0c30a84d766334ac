flounder::flounder! {
    interface test {
        massage first();
    };
}

fn main() {}
