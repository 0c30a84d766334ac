use flounder::FlounderMessage;

#[derive(FlounderMessage)]
struct Tree {
    branch: Option<Branch>,
}

#[derive(FlounderMessage)]
struct Branch {
    tree: Box<Tree>,
}

fn main() {}
