//! The table and the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::answer::Side;
use crate::measure::Figures;
use crate::trial::Trial;

impl Side {
    /// As the table has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "headwater",
            Self::Relay => "relay",
        }
    }
}

/// Both sides under the same load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Case {
    /// What was done.
    pub(crate) name: String,
    /// Headwater.
    pub(crate) ours: Figures,
    /// The relay.
    pub(crate) relay: Figures,
    /// Ours ÷ relay, in CPU of the server per run.
    pub(crate) cpu_ratio: f64,
    /// What else there is to say.
    pub(crate) notes: Vec<String>,
}

impl Case {
    /// Puts them side by side.
    pub(crate) fn new(name: String, ours: Figures, relay: Figures) -> Self {
        let cpu_ratio = ours.server_cpu_ms_per_run / relay.server_cpu_ms_per_run;
        Self { name, ours, relay, cpu_ratio, notes: Vec::new() }
    }

    /// Whether the load core was the limit on either side.
    pub(crate) fn is_void(&self) -> bool {
        self.ours.void || self.relay.void
    }

    /// Whether any run failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.ours.failed + self.relay.failed > 0
    }
}

/// Everything that was measured, and on what.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The processor.
    pub(crate) processor: String,
    /// The load averages when it began: other work on the machine disturbs.
    pub(crate) load_average: String,
    /// Postgres' version.
    pub(crate) postgres: String,
    /// In the order of measuring.
    pub(crate) cases: Vec<Case>,
    /// Scenarios that are about promises.
    pub(crate) trials: Vec<Trial>,
}

impl Report {
    /// Whether a run failed, or a promise was broken.
    pub(crate) fn has_failed(&self) -> bool {
        self.cases.iter().any(Case::has_failed) || self.trials.iter().any(|trial| !trial.broken.is_empty())
    }

    /// As Markdown.
    pub(crate) fn table(&self) -> String {
        let servers = if self.trials.is_empty() { "server and relay" } else { "all servers" };
        let mut out = format!(
            "{}; {servers} on a core of their own, model, load and Postgres {} on another; load average at the start {}.\n\n",
            self.processor, self.postgres, self.load_average
        );
        for trial in &self.trials {
            out.push_str(&trial.table());
        }
        if self.cases.is_empty() {
            return out;
        }
        out.push_str(
            "| case | | runs/s | CPU ms/run | Postgres ms/run | first token + ms (p50 / p99) | end + ms (p50 / p99) | \
             KiB/stream | log rows/run, written / kept | commits/run | server core | load core | complete |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for case in &self.cases {
            row(&mut out, &case.name, Side::Ours, &case.ours);
            row(&mut out, &format!("CPU: {:.2} × relay", case.cpu_ratio), Side::Relay, &case.relay);
        }
        for case in &self.cases {
            for note in &case.notes {
                let _ = writeln!(out, "\n{}: {note}", case.name);
            }
            for (side, figures) in [(Side::Ours, &case.ours), (Side::Relay, &case.relay)] {
                for error in &figures.errors {
                    let _ = writeln!(out, "\n{}, {}: {error}", case.name, side.name());
                }
            }
        }
        out
    }
}

fn row(out: &mut String, name: &str, side: Side, figures: &Figures) {
    let f = figures;
    let or_dash =
        |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let postgres = (side == Side::Ours).then_some(f.postgres_cpu_ms_per_run);
    let core = |busy: f64, others: f64| {
        let others = if others >= 0.05 { format!(" (others {:.0} %)", others * 100.0) } else { String::new() };
        format!("{:.0} %{others}", busy * 100.0)
    };
    let void = if f.void { "**VOID** " } else { "" };
    let _ = writeln!(
        out,
        "| {name} | {} | {:.0} | {:.3} | {} | {:.1} / {:.1} | {:.1} / {:.1} | {} | {} | {} | {} | {void}{} | {} |",
        side.name(),
        f.runs_per_second,
        f.server_cpu_ms_per_run,
        or_dash(postgres, 3),
        f.first_token_added_p50_ms,
        f.first_token_added_p99_ms,
        f.completion_added_p50_ms,
        f.completion_added_p99_ms,
        or_dash(f.rss_kib_per_stream, 1),
        match (f.log_rows_written_per_run, f.log_rows_kept_per_run) {
            (Some(written), Some(kept)) => format!("{written:.1} / {kept:.1}"),
            _ => "–".to_owned(),
        },
        or_dash(f.commits_per_run, 2),
        core(f.server_core_busy, f.server_core_others),
        core(f.load_core_busy, f.load_core_others),
        if f.failed == 0 { f.complete.to_string() } else { format!("{}, **{} failed**", f.complete, f.failed) },
    );
}
