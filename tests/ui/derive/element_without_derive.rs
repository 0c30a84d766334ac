use flounder::FlounderMessage;

struct Inner;

#[derive(FlounderMessage)]
struct Outer {
    inner: Vec<Inner>,
}

fn main() {}
