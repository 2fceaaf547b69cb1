//! What came of a scenario that is about promises: figures, and the promises that were broken.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

/// How many of a kind are named one by one.
const NAMED: usize = 40;

/// One scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trial {
    /// What was done.
    pub(crate) name: String,
    /// In the order of telling.
    pub(crate) figures: Vec<(String, String)>,
    /// Each broken promise, with its evidence. Empty is what one wants to see.
    pub(crate) broken: Vec<String>,
}

impl Trial {
    /// Nothing told yet.
    pub(crate) fn new(name: String) -> Self {
        Self { name, figures: Vec::new(), broken: Vec::new() }
    }

    /// A figure.
    pub(crate) fn tell(&mut self, what: &str, figure: impl ToString) {
        self.figures.push((what.to_owned(), figure.to_string()));
    }

    /// A promise that has to hold.
    pub(crate) fn hold(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    /// Broken promises of the same kind: the first ones in words, the others by number.
    pub(crate) fn break_all(&mut self, words: Vec<String>) {
        let more = words.len().saturating_sub(NAMED);
        self.broken.extend(words.into_iter().take(NAMED));
        if more > 0 {
            self.broken.push(format!("and {more} more of these"));
        }
    }

    /// As Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("\n| {} | |\n|---|---|\n", self.name);
        for (what, figure) in &self.figures {
            let _ = writeln!(out, "| {what} | {} |", figure.replace('\n', " "));
        }
        for broken in &self.broken {
            let _ = writeln!(out, "\n**BROKEN** {broken}");
        }
        if self.broken.is_empty() {
            out.push_str("\nEvery promise was kept.\n");
        }
        out
    }
}

/// `3 a, 2 b`, or a dash.
pub(crate) fn counted(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

/// `p50 / p99 / most of n`, in milliseconds.
pub(crate) fn quantiles(mut ms: Vec<i64>) -> String {
    ms.sort_unstable();
    match ms.last() {
        None => "–".to_owned(),
        Some(most) => format!("{} / {} / {most} of {}", quantile(&ms, 0.5), quantile(&ms, 0.99), ms.len()),
    }
}

/// Of sorted numbers; 0 where there are none.
pub(crate) fn quantile(sorted: &[i64], share: f64) -> i64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{quantile, quantiles};

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantiles(vec![]), "–");
        assert_eq!(quantiles((1..=100).rev().collect()), "50 / 99 / 100 of 100");
        assert_eq!((quantile(&[7], 0.5), quantile(&[7], 0.99), quantile(&[], 0.5)), (7, 7, 0));
    }
}
