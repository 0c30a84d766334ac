use flounder::FlounderMessage;

struct Inner;

#[derive(FlounderMessage)]
struct Outer {
    number: u32,
    inner: Inner,
}

fn main() {}
