use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Text<'a>(&'a str);

fn main() {}
