use flounder::FlounderMessage;

#[derive(FlounderMessage)]
enum List {
    End,
    Item(u32, Box<Self>),
}

fn main() {}
