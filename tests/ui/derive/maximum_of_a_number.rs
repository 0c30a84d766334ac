use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Number {
    #[flounder(max = 10)]
    number: u32,
}

fn main() {}
