use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Text {
    #[flounder(maximum = 10)]
    text: String,
}

fn main() {}
