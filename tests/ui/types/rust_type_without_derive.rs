flounder::flounder! {
    interface test {
        use crate::Pose as pose;
        message first(pose p);
    };
}

pub struct Pose;

fn main() {}
