//! `headwater cost`: what hosting costs, by a dated file of prices and what was measured.
//!
//! First as a study of November 2025 had it, by its assumptions: a container's worth of processor and memory for each active agent.
//! Then Headwater in the same places, by what `loadtest` has measured: every run in one process. Every assumption is an option, and
//! printed.

mod model;
mod plot;
mod prices;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use self::model::{Assumed, Costs, Measured, Scenario, awake, costs, runs_per_second};
use self::prices::{Prices, Tariff};
use super::output;

/// The scenarios of the study.
const SCENARIOS: [Scenario; 3] = [
    Scenario { users: 100.0, agents: 2.0 },
    Scenario { users: 1_000.0, agents: 10.0 },
    Scenario { users: 10_000.0, agents: 10.0 },
];
/// Its assumptions.
const STUDY: Assumed = Assumed {
    active_share: 0.1,
    vcpu_per_agent: 0.25,
    gb_per_agent: 0.5,
    requests_per_agent: 50_000.0,
    cpu_ms_per_request: 5.0,
    hours: None,
};
/// What README's tables say: `cargo xtask load slow-streams`, 1,000 at a time, and `cargo xtask load wake`. Memory of Postgres, what goes
/// out, how long a run takes and how full a processor may be are assumptions.
const MEASURED: Measured = Measured {
    cpu_ms_per_run: 1.71,
    postgres_cpu_ms_per_run: 2.63,
    kib_per_run: 52.5,
    base_mib: 110.0,
    postgres_gb: 0.5,
    egress_kib_per_run: 20.0,
    run_seconds: 10.0,
    utilisation: 0.6,
};

#[derive(Debug, Args)]
pub(super) struct CostArgs {
    /// People; with --agents one scenario instead of the study's three
    #[arg(long, value_parser = positive)]
    users: Option<f64>,
    /// Agents of each of them
    #[arg(long, default_value_t = 2.0, value_parser = positive, requires = "users")]
    agents: f64,
    /// Part of the agents that are active at a time
    #[arg(long, default_value_t = STUDY.active_share, value_parser = share)]
    active_share: f64,
    /// Processors assumed for an active agent
    #[arg(long, default_value_t = STUDY.vcpu_per_agent, value_parser = positive)]
    vcpu_per_agent: f64,
    /// GB assumed for an active agent
    #[arg(long, default_value_t = STUDY.gb_per_agent, value_parser = positive)]
    gb_per_agent: f64,
    /// Requests of an agent a month, where a host takes money for them
    #[arg(long, default_value_t = STUDY.requests_per_agent, value_parser = positive)]
    requests_per_agent: f64,
    /// Milliseconds of a processor for each of them
    #[arg(long, default_value_t = STUDY.cpu_ms_per_request, value_parser = positive)]
    cpu_ms_per_request: f64,
    /// Hours of a month; unless given 730, and in the study's columns as it counted
    #[arg(long, value_parser = positive)]
    hours: Option<f64>,
    /// Runs of a person a day; unless given as many as keep the active agents busy without a pause
    #[arg(long, value_parser = zero_or_more)]
    runs_per_user_day: Option<f64>,
    /// Seconds that a run takes
    #[arg(long, default_value_t = MEASURED.run_seconds, value_parser = positive)]
    run_seconds: f64,
    /// A JSON file of `cargo xtask load slow-streams --json FILE`, instead of the figures of the README
    #[arg(long, value_name = "FILE")]
    measured: Option<PathBuf>,
    /// Milliseconds of a processor that the server takes for a run
    #[arg(long, value_parser = positive)]
    cpu_ms_per_run: Option<f64>,
    /// And Postgres
    #[arg(long, value_parser = positive)]
    postgres_cpu_ms_per_run: Option<f64>,
    /// KiB of a run under way and its reader
    #[arg(long, value_parser = positive)]
    kib_per_run: Option<f64>,
    /// MiB of a server that does nothing
    #[arg(long, default_value_t = MEASURED.base_mib, value_parser = positive)]
    base_mib: f64,
    /// GB of Postgres
    #[arg(long, default_value_t = MEASURED.postgres_gb, value_parser = zero_or_more)]
    postgres_gb: f64,
    /// KiB that go out for a run
    #[arg(long, default_value_t = MEASURED.egress_kib_per_run, value_parser = zero_or_more)]
    egress_kib_per_run: f64,
    /// How much of a processor is meant to be used
    #[arg(long, default_value_t = MEASURED.utilisation, value_parser = share)]
    utilisation: f64,
    /// A file of prices, as config/hosting.toml
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Also draw it, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| "must be a number".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number > 0.0 { Ok(number) } else { Err("must be more than 0".into()) })
}

fn zero_or_more(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number >= 0.0 { Ok(number) } else { Err("must be 0 or more".into()) })
}

fn share(text: &str) -> Result<f64, String> {
    positive(text).and_then(|number| if number <= 1.0 { Ok(number) } else { Err("must be at most 1".into()) })
}

/// A line of the table: how agents are hosted somewhere, and what that costs in each scenario.
struct Line {
    host: String,
    shape: String,
    sums: Vec<f64>,
    ours: bool,
}

pub(super) fn run(args: CostArgs) -> anyhow::Result<()> {
    let prices = match &args.prices {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            Prices::parse(&text).with_context(|| file.display().to_string())?
        }
        None => Prices::builtin(),
    };
    let assumed = Assumed {
        active_share: args.active_share,
        vcpu_per_agent: args.vcpu_per_agent,
        gb_per_agent: args.gb_per_agent,
        requests_per_agent: args.requests_per_agent,
        cpu_ms_per_request: args.cpu_ms_per_request,
        hours: args.hours,
    };
    let mut measured = Measured {
        base_mib: args.base_mib,
        postgres_gb: args.postgres_gb,
        egress_kib_per_run: args.egress_kib_per_run,
        run_seconds: args.run_seconds,
        utilisation: args.utilisation,
        ..MEASURED
    };
    if let Some(file) = &args.measured {
        read_measured(file, &mut measured)?;
    }
    for (given, kept) in [
        (args.cpu_ms_per_run, &mut measured.cpu_ms_per_run),
        (args.postgres_cpu_ms_per_run, &mut measured.postgres_cpu_ms_per_run),
        (args.kib_per_run, &mut measured.kib_per_run),
    ] {
        *kept = given.unwrap_or(*kept);
    }
    let scenarios = match args.users {
        Some(users) => vec![Scenario { users, agents: args.agents }],
        None => SCENARIOS.to_vec(),
    };
    let per_day = args.runs_per_user_day;
    let lines = lines(&prices, &scenarios, assumed, measured, per_day);
    if let Some(file) = &args.plot {
        let svg = plot::svg(&names(&scenarios), &lines);
        std::fs::write(file, svg).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if args.json {
        let rows: Vec<Value> = lines
            .iter()
            .map(|line| json!({"host": line.host, "shape": line.shape, "usd_per_month": line.sums, "headwater": line.ours}))
            .collect();
        return output::line(&json!({"scenarios": names(&scenarios), "rows": rows}).to_string());
    }
    let mut out = table(&names(&scenarios), &lines);
    out.push_str(&plot::bars(&names(&scenarios), &lines));
    out.push_str(&told(&prices, &scenarios, assumed, measured, per_day));
    output::line(out.trim_end())
}

/// What a file of `loadtest` says of its largest case of slow streams.
fn read_measured(file: &Path, measured: &mut Measured) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let mut cases = report["cases"].as_array().into_iter().flatten();
    let Some(ours) = cases.rfind(|case| case["ours"]["rss_kib_per_stream"].is_number()).map(|case| &case["ours"])
    else {
        bail!(
            "{} holds no case of slow-streams: `cargo xtask load slow-streams --json FILE` makes one",
            file.display()
        );
    };
    let of = |name: &str| ours[name].as_f64().with_context(|| format!("{} has no {name}", file.display()));
    measured.cpu_ms_per_run = of("server_cpu_ms_per_run")?;
    measured.postgres_cpu_ms_per_run = of("postgres_cpu_ms_per_run")?;
    measured.kib_per_run = of("rss_kib_per_stream")?;
    Ok(())
}

fn names(scenarios: &[Scenario]) -> Vec<String> {
    scenarios.iter().map(|one| format!("{} × {}", one.users, one.agents)).collect()
}

fn lines(
    prices: &Prices,
    scenarios: &[Scenario],
    assumed: Assumed,
    measured: Measured,
    per_day: Option<f64>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for host in &prices.host {
        let all: Vec<Costs> = scenarios.iter().map(|one| costs(host, *one, assumed, measured, per_day)).collect();
        let (shared, per_agent) = match &host.tariff {
            Tariff::Metered { .. } => ("one shared service".to_owned(), "container per agent".to_owned()),
            Tariff::Nodes { node, per_agent, .. } => {
                (format!("shared, {node}"), format!("per agent, {}", per_agent.as_deref().unwrap_or("?")))
            }
            Tariff::Requests { .. } => ("per request".to_owned(), String::new()),
        };
        let mut add = |shape: &str, ours: bool, of: fn(&Costs) -> Option<f64>| {
            if let Some(sums) = all.iter().map(of).collect::<Option<Vec<f64>>>() {
                lines.push(Line { host: host.name.clone(), shape: shape.to_owned(), sums, ours });
            }
        };
        add(&shared, false, |costs| costs.shared);
        add(&per_agent, false, |costs| costs.per_agent);
        add("per request", false, |costs| costs.requests);
        add("Headwater, measured", true, |costs| costs.headwater);
    }
    lines
}

/// Dollars, with cents where there are few.
fn dollars(sum: f64) -> String {
    if sum < 100.0 {
        return format!("${sum:.2}");
    }
    let digits = format!("{:.0}", sum.round());
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    format!("${out}")
}

fn table(names: &[String], lines: &[Line]) -> String {
    let mut out = format!("{:<20} {:<28}", "$ a month", "users × agents");
    for name in names {
        let _ = write!(out, " {name:>14}");
    }
    out.push('\n');
    let mut last = "";
    for line in lines {
        let host = if line.host == last { "" } else { &line.host };
        last = &line.host;
        let _ = write!(out, "{host:<20} {:<28}", line.shape);
        for sum in &line.sums {
            let _ = write!(out, " {:>14}", dollars(*sum));
        }
        out.push('\n');
    }
    out
}

/// Everything that the numbers rest on.
fn told(prices: &Prices, scenarios: &[Scenario], assumed: Assumed, measured: Measured, per_day: Option<f64>) -> String {
    let mut out = String::from("\nContainers, as a study of November 2025 assumed:\n");
    let hours =
        assumed.hours.map_or_else(|| "730 (720 for Railway and Fargate, as the study)".to_owned(), |h| h.to_string());
    let _ = writeln!(
        out,
        "  --active-share {} --vcpu-per-agent {} --gb-per-agent {} --requests-per-agent {} --cpu-ms-per-request {}; hours {hours}; machines by memory alone",
        assumed.active_share,
        assumed.vcpu_per_agent,
        assumed.gb_per_agent,
        assumed.requests_per_agent,
        assumed.cpu_ms_per_request
    );
    let _ = writeln!(out, "Headwater, server and Postgres together, with the same work:");
    let _ = writeln!(
        out,
        "  --cpu-ms-per-run {} --postgres-cpu-ms-per-run {} --kib-per-run {} --base-mib {} --postgres-gb {} --egress-kib-per-run {} --run-seconds {} --utilisation {}",
        measured.cpu_ms_per_run,
        measured.postgres_cpu_ms_per_run,
        measured.kib_per_run,
        measured.base_mib,
        measured.postgres_gb,
        measured.egress_kib_per_run,
        measured.run_seconds,
        measured.utilisation
    );
    for (name, scenario) in names(scenarios).iter().zip(scenarios) {
        let runs = runs_per_second(*scenario, assumed, measured, per_day);
        let _ = writeln!(
            out,
            "  {name}: {runs:.4} runs a second ({}), awake {:.1} % of the time where the host puts it to sleep",
            per_day
                .map_or_else(|| "every active agent is busy".to_owned(), |runs| format!("--runs-per-user-day {runs}")),
            awake(runs, measured.run_seconds) * 100.0
        );
    }
    let _ = writeln!(
        out,
        "  Beyond a thousand runs at a time this is extrapolated: one machine was measured, with one server and one Postgres."
    );
    let _ =
        writeln!(out, "Model calls cost extra, wherever it runs. A database of the host's own may cost more. Prices:");
    for host in &prices.host {
        let _ = writeln!(out, "  {}: {}, {}", host.name, host.read, host.source);
    }
    out
}
