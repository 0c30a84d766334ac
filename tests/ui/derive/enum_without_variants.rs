use flounder::FlounderMessage;

#[derive(FlounderMessage)]
enum Never {}

fn main() {}
