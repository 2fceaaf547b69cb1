//! Progress bars, on a terminal alone.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for so many runs. Invisible when stderr is no terminal.
pub(crate) fn bar(what: &str, runs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:44} {bar:30} {pos}/{len} {per_sec:>12}");
    let bar = ProgressBar::new(runs);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
