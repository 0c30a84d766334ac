flounder::flounder! {
    file = "nowhere.if";
}

fn main() {}
