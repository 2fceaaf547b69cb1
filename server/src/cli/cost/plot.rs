//! The same as bars: in the terminal, and as SVG. Each ten times as much is a step of the same length.

use std::fmt::Write as _;

use super::{Line, dollars};

/// The widest bar in the terminal.
const WIDE: f64 = 48.0;

/// Where a sum stands between a dollar and the most there is, from 0 to 1.
fn part(sum: f64, most: f64) -> f64 {
    (sum.max(1.0).log10() / most.max(10.0).log10()).clamp(0.0, 1.0)
}

fn most(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.sums).copied().fold(10.0, f64::max)
}

/// Bars of the last scenario.
pub(super) fn bars(names: &[String], lines: &[Line]) -> String {
    let Some(name) = names.last() else { return String::new() };
    let mut out = format!("\n{name}, each step of the same length is ten times as much (█ Headwater, ░ others)\n");
    for line in lines {
        let Some(sum) = line.sums.last() else { continue };
        let length = (part(*sum, most(lines)) * WIDE).round().max(1.0) as usize;
        let bar = if line.ours { "█" } else { "░" }.repeat(length);
        let label = format!("{}, {}", line.host, line.shape);
        let _ = writeln!(out, "{label:<42} {bar} {}", dollars(*sum));
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// All scenarios, one below the other.
pub(super) fn svg(names: &[String], lines: &[Line]) -> String {
    let (row, left, wide) = (18.0, 300.0, 480.0);
    let block = lines.len() as f64 * row + 48.0;
    let height = block * names.len() as f64 + 16.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 920 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"920\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (n, name) in names.iter().enumerate() {
        let top = block * n as f64 + 24.0;
        let title = format!("{} users × agents, $ a month (logarithmic)", escaped(name));
        let _ = writeln!(out, "<text x=\"12\" y=\"{top}\" font-weight=\"bold\">{title}</text>");
        for (m, line) in lines.iter().enumerate() {
            let Some(sum) = line.sums.get(n) else { continue };
            let (y, length) = (top + 12.0 + m as f64 * row, (part(*sum, most(lines)) * wide).max(2.0));
            let colour = if line.ours { "#0b7285" } else { "#ced4da" };
            let label = escaped(&format!("{}, {}", line.host, line.shape));
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text><rect x=\"{left}\" y=\"{y}\" width=\"{length:.1}\" height=\"12\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                left - 8.0,
                y + 10.0,
                left + length + 6.0,
                y + 10.0,
                dollars(*sum)
            );
        }
    }
    out.push_str("</svg>\n");
    out
}
