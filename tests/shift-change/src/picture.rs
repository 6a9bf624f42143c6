//! Backlog and lag over time, as a picture.

use std::path::Path;

use plotters::prelude::*;

use crate::Trouble;
use crate::outcome::{Moment, Outcome};

/// Draws the picture of a run.
pub(crate) fn draw(path: &Path, outcome: &Outcome) -> Result<(), Trouble> {
    let failed = |error: &dyn std::fmt::Display| Trouble(format!("{}: {error}", path.display()));
    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let (above, below) = root.split_vertically(280);
    let title = format!("{} agents, {} requests per second", outcome.shift.agents, outcome.shift.requests_per_second);
    let backlog = |moment: &Moment| (moment.at, moment.backlog as f64);
    curve(&above, &format!("{title}: messages waiting"), outcome, backlog, &BLUE).map_err(|error| failed(&error))?;
    let lag = |moment: &Moment| (moment.at, moment.lag);
    curve(&below, "lag of those being served, in seconds", outcome, lag, &RED).map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))
}

fn curve<'a>(
    area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    title: &str,
    outcome: &Outcome,
    value: impl Fn(&Moment) -> (f64, f64),
    colour: &RGBColor,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let points: Vec<_> = outcome.moments.iter().map(value).collect();
    let (end, top) = points.iter().fold((1.0_f64, 1.0_f64), |(end, top), (x, y)| (end.max(*x), top.max(*y)));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end, 0.0..top * 1.05)?;
    let whole = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .x_desc("seconds since the beginning")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(AreaSeries::new(points, 0.0, colour.mix(0.25)).border_style(colour))?;
    Ok(())
}
