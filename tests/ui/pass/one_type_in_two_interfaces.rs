flounder::flounder! {
    types geometry { typedef struct { double x; double y; } point; };
    interface painter { message draw(point p); };
    pub(crate) interface plotter { message move_to(point p); };
}

fn main() {
    let point = painter::Point { x: 1.0, y: 2.0 };
    let same: plotter::Point = point;
    assert_eq!(same, geometry::Point { x: 1.0, y: 2.0 });
}
