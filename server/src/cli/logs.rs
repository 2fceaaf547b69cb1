//! Where logs go: stdout as the settings say, or, in dev mode, stderr in lines for a person.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, Settings};

/// What is written at this level. Of rmcp nothing is, whatever it says: it tells as an error of its own what an MCP server has
/// answered, and that may be a tenant's secret said back, at any length. What went wrong is told by whoever called it.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(level).add_directive("rmcp=off".parse().expect("a directive"))
}

/// As the settings say, on stdout.
pub(super) fn as_set(settings: &Settings) {
    crate::http::panic::quiet_hook();
    let lines = fmt().with_env_filter(filter(&settings.log.level));
    // The tests of the command line may have been first.
    let _ = match settings.log.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stdout().is_terminal()).try_init(),
    };
}

/// The same in dev mode, where what was not set is as a person likes it: warnings, in words, beside the output.
pub(super) fn for_dev(settings: &Settings) {
    if settings.is_explicit("log.format") {
        return as_set(settings);
    }
    crate::http::panic::quiet_hook();
    let level = if settings.is_explicit("log.level") { &settings.log.level } else { "warn" };
    let lines = fmt().with_env_filter(filter(level)).with_writer(std::io::stderr);
    let _ = lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).compact().try_init();
}
