//! The latencies of each case as SVG: a point for each small message, by when it was sent.

use std::fmt::Write as _;

use super::{Case, ms};

/// One chart for each case, all to the same scale.
pub(super) fn draw(cases: &[Case]) -> String {
    let latencies = cases.iter().flat_map(|case| &case.measured.control);
    let highest = latencies
        .map(|&(_, latency)| ms(latency))
        .fold(1.0, f64::max);
    let height = cases.len() * (HEIGHT + MARGIN) + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 2 * MARGIN,
    );
    for (index, case) in cases.iter().enumerate() {
        let top = MARGIN + index * (HEIGHT + MARGIN);
        chart(&mut svg, case, top, highest);
    }
    svg + "</svg>\n"
}

fn chart(svg: &mut String, case: &Case, top: usize, highest: f64) {
    let bottom = top + HEIGHT;
    let title = format!(
        "interleaving {}, loss {:.0} %: latency of small messages in ms",
        if case.interleaving { "on" } else { "off" },
        case.loss * 100.0
    );
    let y = |latency: f64| bottom as f64 - latency / highest * HEIGHT as f64;
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\">{title}</text>\n\
         <path d=\"M{MARGIN} {top}V{bottom}H{}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{highest:.0}</text>\n\
         <text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\n\
         <path d=\"M{MARGIN} {:.1}h{WIDTH}\" stroke=\"#888\" stroke-dasharray=\"4\"/>",
        top - 6,
        MARGIN + WIDTH,
        MARGIN - 4,
        top + 10,
        MARGIN - 4,
        y(ms(case.base)),
    );
    for &(sent, latency) in &case.measured.control {
        let x = MARGIN as f64 + sent.as_secs_f64() / case.time.as_secs_f64() * WIDTH as f64;
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"1.5\" fill=\"#1668b8\"/>",
            y(ms(latency))
        );
    }
}

const WIDTH: usize = 640;
const HEIGHT: usize = 140;
const MARGIN: usize = 40;
