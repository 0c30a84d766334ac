flounder::include_flounder!(test);

fn main() {}
