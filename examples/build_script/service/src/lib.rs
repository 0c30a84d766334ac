//! A service, and its interface.

use shapes::shapes::Rectangle;

// pub mod area
flounder::include_flounder!("area");

/// Answers calls of one client.
#[derive(Debug, Clone, Copy)]
pub struct Server;

impl area::Rx for Server {
    fn area(&mut self, _: &area::Binding, shape: Rectangle, reply: area::AreaReply) {
        reply.send(u64::from(shape.width) * u64::from(shape.height));
    }
}
