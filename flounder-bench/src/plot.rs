//! Pictures: a bar for each driver with its limit, and the distribution of round trips.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::{Report, Row, time};
use crate::work::{Between, Size, Work};

/// Size of a picture in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 1500;

type Drawn<T = ()> = Result<T, Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the figures into a file.
pub(crate) fn draw(report: &Report, path: &Path) -> Drawn {
    let root = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(40);
    head.draw(&Text::new(report.headline(), (20, 14), ("sans-serif", 15)))?;
    let areas = body.split_evenly((3, 1));
    let of = |is_in: fn(Work) -> bool| {
        report.figures.iter().filter(move |row| is_in(row.kind)).collect::<Vec<_>>()
    };
    bars(&areas[0], "round trip", &of(|work| matches!(work, Work::RoundTrip(_))))?;
    bars(&areas[1], "one way", &of(|work| matches!(work, Work::Stream(_))))?;
    distributions(&areas[2], report)?;
    root.present()?;
    Ok(())
}

/// Draws nanoseconds for each size, with the bars of one size side by side.
fn bars(area: &Area<'_>, title: &str, rows: &[&Row]) -> Drawn {
    let sizes = distinct(rows.iter().filter_map(|row| row.kind.size()));
    let kinds = distinct(rows.iter().map(|row| (row.driver, row.place)));
    let values = rows.iter().flat_map(|row| [Some(row.figure.median), row.limit_median]).flatten();
    let Some((low, high)) = bounds(values) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{title}: median, and the limit of each"), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..sizes.len() as f64, (low..high).log_scale())?;
    let label = |at: &f64| {
        let size = sizes.get(*at as usize).filter(|_| (at.fract() - 0.5).abs() < 0.01);
        size.map_or(String::new(), |&size| Size(size).to_string())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(2 * sizes.len() + 1)
        .x_label_formatter(&label)
        .y_label_formatter(&|value| time(*value))
        .draw()?;
    let width = 0.8 / kinds.len() as f64;
    for (place, kind) in kinds.iter().enumerate() {
        let of_kind = || rows.iter().filter(|row| (row.driver, row.place) == *kind);
        let left = |row: &Row| {
            let group = sizes.iter().position(|size| Some(*size) == row.kind.size());
            group.unwrap_or(0) as f64 + 0.1 + place as f64 * width
        };
        let colour = colour(place);
        let bars = of_kind().map(|row| {
            let left = left(row);
            Rectangle::new([(left, low), (left + width * 0.9, row.figure.median)], colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(name(kind))
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        chart.draw_series(of_kind().filter_map(|row| {
            let (left, limit) = (left(row), row.limit_median?);
            Some(PathElement::new(
                [(left - width * 0.05, limit), (left + width * 0.95, limit)],
                BLACK.stroke_width(3),
            ))
        }))?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

/// Draws the cumulative distribution of round trips of 8 bytes.
fn distributions(area: &Area<'_>, report: &Report) -> Drawn {
    let of_drivers = report.figures.iter().filter(|row| row.kind == Work::RoundTrip(8));
    let of_drivers = of_drivers.map(|row| (name(&(row.driver, row.place)), &row.figure));
    let of_limits = report.limits.iter().filter(|row| row.name == "raw line");
    let of_limits = of_limits.map(|row| (row.name.clone(), &row.figure));
    let curves: Vec<_> =
        of_drivers.chain(of_limits).filter(|(_, figure)| figure.distribution.len() > 1).collect();
    // Without the longest, which would compress all others.
    let shown = |distribution: &[f64]| distribution[..distribution.len() - 1].to_vec();
    let values = curves.iter().flat_map(|(_, figure)| shown(&figure.distribution));
    let Some((low, high)) = bounds(values) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .caption("round trip, 8 B: parts of all that took no longer", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d((low..high).log_scale(), 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_label_formatter(&|value| time(*value))
        .y_label_formatter(&|part| format!("{part:.0} %"))
        .draw()?;
    for (place, (name, figure)) in curves.iter().enumerate() {
        let colour = if name == "raw line" { BLACK } else { colour(place) };
        let points = shown(&figure.distribution).into_iter().enumerate();
        let points = points.map(|(percent, value)| (value.max(low), percent as f64));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    legend(&mut chart, SeriesLabelPosition::LowerRight)
}

fn legend<'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// Returns a value somewhat above all of these, or `None` if there are none.
fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    (low <= high).then(|| (low.max(0.1) / 2.0, high.max(0.1) * 2.0))
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut all, value| {
        if !all.contains(&value) {
            all.push(value);
        }
        all
    })
}

fn name((driver, between): &(&'static str, Between)) -> String {
    format!("{driver}, {between}")
}

/// Colours that differ for colour-blind readers as well.
fn colour(place: usize) -> RGBColor {
    const COLOURS: [RGBColor; 7] = [
        RGBColor(0, 114, 178),
        RGBColor(230, 159, 0),
        RGBColor(0, 158, 115),
        RGBColor(204, 121, 167),
        RGBColor(86, 180, 233),
        RGBColor(213, 94, 0),
        RGBColor(240, 228, 66),
    ];
    COLOURS[place % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_leave_room_on_both_sides() {
        assert_eq!(bounds([10.0, 40.0].into_iter()), Some((5.0, 80.0)));
        assert_eq!(bounds([].into_iter()), None);
    }

    #[test]
    fn a_picture_has_drivers_and_limits() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("figures.svg");
        draw(&crate::report::tests::report(), &path).expect("it can be drawn");
        let svg = std::fs::read_to_string(path).expect("it is there");
        for words in ["<svg", "ump, threads", "round trip", "raw line", "8 B"] {
            assert!(svg.contains(words), "{words} is not in the picture");
        }
    }
}
