//! Runs as a picture: response times by percentile, and what each server had to do.

use std::error::Error;

use plotters::{coord::Shift, prelude::*};

use super::figures::Figures;

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the plot can't be drawn: {message}")]
pub struct PlotError {
    message: String,
}

const SIZE: (u32, u32) = (1_000, 420);
const COLORS: [RGBColor; 4] = [
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0xd9, 0x5f, 0x02),
    RGBColor(0x1b, 0x9e, 0x77),
    RGBColor(0x7a, 0x4e, 0xa3),
];
const FONT: &str = "sans-serif";

/// The runs as the text of an SVG.
pub fn plot(runs: &[Figures]) -> Result<String, PlotError> {
    let mut svg = String::new();
    draw(&mut svg, runs).map_err(|error| PlotError {
        message: error.to_string(),
    })?;
    Ok(svg)
}

fn draw(svg: &mut String, runs: &[Figures]) -> Result<(), Box<dyn Error>> {
    let whole = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    whole.fill(&WHITE)?;
    let (left, right) = whole.split_horizontally(SIZE.0 * 6 / 10);
    response_times(&left, runs)?;
    servers(&right, runs)?;
    whole.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The wider the way to 100 %, the more of the tail is seen: 90, 99 and 99.9 % are one step apart.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent.min(99.99) / 100.0).log10()
}

fn response_times(area: &Area<'_>, runs: &[Figures]) -> Result<(), Box<dyn Error>> {
    let times = runs
        .iter()
        .flat_map(|run| run.curve.iter().map(|&(_, time)| time));
    let most = times.fold(1.0, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .caption("response time by percentile", (FONT, 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..4.0_f64, 0.0..most)?;
    chart
        .configure_mesh()
        .x_labels(5)
        .x_label_formatter(&|x| match x.round() as i32 {
            0 => "0 %".to_owned(),
            1 => "90 %".to_owned(),
            2 => "99 %".to_owned(),
            3 => "99.9 %".to_owned(),
            _ => "99.99 %".to_owned(),
        })
        .y_desc("ms")
        .label_style((FONT, 13))
        .draw()?;
    for (run, color) in runs.iter().zip(COLORS) {
        let points = run.curve.iter().filter(|(percent, _)| *percent < 100.0);
        let points = points.map(|&(percent, time)| (nines(percent), time));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(match run.config.as_str() {
                "{}" => run.plugin.clone(),
                config => format!("{} {config}", run.plugin),
            })
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}

fn servers(area: &Area<'_>, runs: &[Figures]) -> Result<(), Box<dyn Error>> {
    let names: Vec<&str> = match runs.first() {
        Some(run) => run
            .servers
            .iter()
            .map(|server| server.name.as_str())
            .collect(),
        None => Vec::new(),
    };
    let count = names.len().max(1);
    let mut chart = ChartBuilder::on(area)
        .caption("busy servers", (FONT, 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..count as f64, 0.0..100.0_f64)?;
    let name = |x: &f64| match names.get(x.floor() as usize) {
        Some(name) if (x.fract() - 0.5).abs() < 0.01 => (*name).to_owned(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(2 * count + 1)
        .x_label_formatter(&name)
        .y_desc("% of the slots")
        .label_style((FONT, 13))
        .draw()?;
    let width = 0.8 / runs.len().max(1) as f64;
    for (position, (run, color)) in runs.iter().zip(COLORS).enumerate() {
        let bars = run.servers.iter().enumerate().map(|(index, server)| {
            let x = index as f64 + 0.1 + position as f64 * width;
            let corners = [(x, 0.0), (x + width * 0.9, 100.0 * server.busy)];
            Rectangle::new(corners, color.filled())
        });
        chart.draw_series(bars)?;
    }
    Ok(())
}
