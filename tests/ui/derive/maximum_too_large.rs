use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Text {
    #[flounder(max = 16777217)]
    text: String,
}

fn main() {}
