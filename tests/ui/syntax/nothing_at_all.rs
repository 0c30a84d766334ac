flounder::flounder! {

}

fn main() {}
