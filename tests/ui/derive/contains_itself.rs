use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Node {
    children: Vec<Node>,
}

fn main() {}
