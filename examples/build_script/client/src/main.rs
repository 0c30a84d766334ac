//! Asks the service for an area.

use std::error::Error;

use area_service::{Server, area};
use flounder::{Peer, Waitset};
use shapes::shapes::Rectangle;

fn main() -> Result<(), Box<dyn Error>> {
    let ws = Waitset::current();
    let service = area::export(&ws, |_: &Peer| Ok(Server)).wait()?;
    let binding = area::bind(service.iref(), &ws, ()).wait()?;
    let client = area::RpcClient::new(&binding);
    let area = client.area(Rectangle { width: 3, height: 4 })?;
    println!("a rectangle of 3 by 4 has an area of {area}");
    Ok(())
}
