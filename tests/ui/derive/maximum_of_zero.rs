use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Text {
    #[flounder(max = 0)]
    text: String,
}

fn main() {}
