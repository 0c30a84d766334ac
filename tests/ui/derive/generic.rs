use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Pair<T> {
    first: T,
    second: T,
}

fn main() {}
