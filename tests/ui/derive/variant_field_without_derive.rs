use flounder::FlounderMessage;

struct Inner;

#[derive(FlounderMessage)]
enum Outer {
    Nothing,
    Something(Inner),
}

fn main() {}
