use flounder::FlounderMessage;

#[derive(FlounderMessage)]
enum Choice {
    #[flounder(max = 10)]
    One(String),
}

fn main() {}
