use flounder::FlounderMessage;

#[derive(FlounderMessage)]
#[flounder(max = 10)]
struct Text(String);

fn main() {}
