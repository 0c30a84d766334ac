use flounder::FlounderMessage;

#[derive(FlounderMessage)]
union Bits {
    float: f32,
    word: u32,
}

fn main() {}
