//! Lines over a logarithmic scale as SVG, several small charts in one picture, in the style of
//! `benches/plot`.

use std::fmt::Write;

/// A picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Above everything.
    pub title: String,
    /// Names of the places on the horizontal axis, and what they are.
    pub across: (String, Vec<String>),
    /// What the vertical axis shows.
    pub up: String,
    /// The charts, two in a row.
    pub charts: Vec<Chart>,
}

/// One of its charts.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// A name and a value for each place.
    pub lines: Vec<(String, Vec<f64>)>,
    /// A value that is drawn as a dashed line: what cannot be exceeded.
    pub bound: f64,
}

impl Plot {
    /// The SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let rows = self.charts.len().div_ceil(COLUMNS);
        let (width, height) = (COLUMNS * WIDTH, rows * (HEIGHT + 60) + 56);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"12\" y=\"24\" font-size=\"16\" fill=\"#222\">{}</text>\n\
             <text x=\"12\" y=\"42\" fill=\"#666\">{}, over {}</text>\n",
            escape(&self.title),
            escape(&self.up),
            escape(&self.across.0),
        );
        for (index, chart) in self.charts.iter().enumerate() {
            let x = (index % COLUMNS * WIDTH) as f64;
            let y = (56 + index / COLUMNS * (HEIGHT + 60)) as f64;
            self.draw(chart, x, y, &mut out);
        }
        out.push_str("</svg>\n");
        out
    }

    fn draw(&self, chart: &Chart, x: f64, y: f64, out: &mut String) {
        let (left, right) = (x + 46.0, x + WIDTH as f64 - 16.0);
        let (top, bottom) = (y + 40.0, y + HEIGHT as f64);
        let values = || {
            chart
                .lines
                .iter()
                .flat_map(|(_, values)| values.iter().copied())
        };
        let high = values().fold(chart.bound, f64::max).log10().ceil();
        let lowest = values().filter(|&v| v > 0.0).fold(chart.bound, f64::min);
        let low = lowest.log10().floor().min(high - 1.0);
        let level = |value: f64| {
            let share = (value.max(10_f64.powf(low)).log10() - low) / (high - low);
            bottom - (bottom - top) * share
        };
        let places = self.across.1.len();
        let place =
            |index: usize| left + (right - left) * index as f64 / (places.max(2) - 1) as f64;
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#222\">{}</text>",
            x + 12.0,
            y + 16.0,
            escape(&chart.title)
        );
        let mut decade = low;
        while decade <= high {
            let at = level(10_f64.powf(decade));
            let _ = writeln!(
                out,
                "<line x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{}</text>",
                left - 4.0,
                at + 4.0,
                10_f64.powf(decade)
            );
            decade += 1.0;
        }
        let bound = level(chart.bound);
        let _ = writeln!(
            out,
            "<line x1=\"{left:.1}\" y1=\"{bound:.1}\" x2=\"{right:.1}\" y2=\"{bound:.1}\" \
             stroke=\"#999\" stroke-dasharray=\"4 3\"/>"
        );
        for (index, name) in self.across.1.iter().enumerate() {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{}</text>",
                place(index),
                bottom + 14.0,
                escape(name)
            );
        }
        for (number, (name, values)) in chart.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let points: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(index, &value)| format!("{:.1},{:.1}", place(index), level(value)))
                .collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                points.join(" ")
            );
            for (index, &value) in values.iter().enumerate() {
                let _ = writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\">\
                     <title>{}, {}: {value:.2}</title></circle>",
                    place(index),
                    level(value),
                    escape(name),
                    escape(&self.across.1[index])
                );
            }
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
                x + 12.0 + 110.0 * number as f64,
                y + 32.0,
                escape(name)
            );
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const WIDTH: usize = 420;
const HEIGHT: usize = 200;
const COLUMNS: usize = 2;
const COLOURS: [&str; 4] = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Zero has no place on a logarithmic scale, and names may hold anything.
    #[test]
    fn odd_values_are_drawn() {
        let chart = Chart {
            title: "a < b".into(),
            lines: vec![("x&y".into(), vec![0.0, 50.0])],
            bound: 100.0,
        };
        let plot = Plot {
            title: String::new(),
            across: ("ms".into(), vec!["1".into(), "2".into()]),
            up: "Mbit/s".into(),
            charts: vec![chart],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b") && svg.contains("x&amp;y"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
