//! After the storm: whether every promise about what was accepted was kept.
//!
//! Promises that every log is read anew from each server and compared, byte for byte, with what each reader put together,
//! and that the database's own sums are asked too. A broken promise names its run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::crowd::{Heard, Told, question};
use crate::fleet::{Act, Fleet, Kind};
use crate::follow;
use crate::ground::Ground;
use crate::progress;
use crate::story::{Resumed, Story};
use crate::trial::{Trial, counted, quantiles};
use crate::who::Who;

/// How long runs that nobody reads any more may take to their end.
const SETTLE: Duration = Duration::from_secs(60);
/// Logs that are read anew at a time.
const AT_A_TIME: usize = 8;

/// What is left to look at by the scenario.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Every change of hands.
    pub(crate) resumed: Vec<Resumed>,
    /// How runs ended.
    pub(crate) ends: BTreeMap<String, u64>,
}

/// Looks at everything, and tells it.
pub(crate) async fn audit(
    ground: &Ground,
    fleet: &Arc<Fleet>,
    tenants: &Arc<Vec<Who>>,
    asked: u64,
    heard: Heard,
    trial: &mut Trial,
) -> anyhow::Result<Findings> {
    trial.tell("runs accepted / asked for", format!("{} / {asked}", heard.told.len()));
    trial.tell("requests sent again", counted(&heard.again));
    trial.tell("requests that failed for good", heard.refused.len());
    let never = asked.saturating_sub((heard.told.len() + heard.refused.len()) as u64);
    trial.hold(never == 0, || format!("{never} runs were not even asked for when time was up"));
    trial.break_all(heard.refused.iter().map(|error| format!("a request failed for good: {error}")).collect());
    trial.break_all(fleet.wrong());

    all_end(ground, trial).await?;
    let calls: BTreeMap<String, u64> = ground.calls().await?.into_iter().collect();
    rows(ground, &heard, &calls, trial).await?;
    readers(&heard, trial);

    let findings = logs(fleet, tenants, heard, &calls, trial).await;
    let sweep = ground.admin.value("SELECT headwater.sweep()").await?.context("sweep() answers")?;
    trial.tell("headwater.sweep()", &sweep);
    trial.hold(sweep == "0", || format!("headwater.sweep() is {sweep}, not 0"));
    Ok(findings)
}

/// Waits until no run is under way.
pub(crate) async fn all_end(ground: &Ground, trial: &mut Trial) -> anyhow::Result<()> {
    let began = Instant::now();
    let sql = "SELECT run_id::text || ' ' || status || ' attempt ' || attempt || ' tail ' || tail || ' owner '
                      || coalesce(owner::text, 'nobody') FROM headwater.runs
               WHERE status NOT IN ('completed', 'failed', 'cancelled') ORDER BY 1";
    loop {
        let open: Vec<_> = ground.admin.rows(sql).await?.into_iter().flatten().flatten().collect();
        if open.is_empty() {
            return Ok(());
        }
        if began.elapsed() > SETTLE {
            trial.break_all(open.into_iter().map(|run| format!("a run has no end: {run}")).collect());
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the database has, against what was accepted and what the model was asked.
async fn rows(ground: &Ground, heard: &Heard, calls: &BTreeMap<String, u64>, trial: &mut Trial) -> anyhow::Result<()> {
    let accepted: BTreeSet<String> = heard.told.values().map(|told| uuid(&told.run).to_owned()).collect();
    trial.hold(accepted.len() == heard.told.len(), || "two requests were given the same run".to_owned());
    let there = ground.admin.rows("SELECT run_id::text FROM headwater.runs").await?;
    let there: BTreeSet<String> = there.into_iter().flatten().flatten().collect();
    trial
        .break_all(accepted.difference(&there).map(|run| format!("run {run} was accepted and is not there")).collect());
    // A request that was given up may have been accepted all the same.
    let extra: Vec<_> = there.difference(&accepted).cloned().collect();
    let excused = heard.refused.len();
    if extra.len() > excused {
        trial.break_all(extra.into_iter().map(|run| format!("run {run} is there and nobody was told")).collect());
    }
    let sql = "SELECT count(*), count(DISTINCT run_id), coalesce(sum(estimated::int), 0) FROM headwater.usage_calls";
    let ledger = ground.admin.rows(sql).await?.into_iter().next().context("a row")?;
    let number = |at: usize| ledger.get(at).and_then(Option::as_deref).unwrap_or("?");
    let made: u64 = calls.values().sum();
    trial.tell("model calls, by the model", made);
    trial.tell("model calls, by the ledger", format!("{}, of which {} estimated", number(0), number(2)));
    Ok(())
}

fn readers(heard: &Heard, trial: &mut Trial) {
    let (mut good, mut connections, mut ends) = (0_u64, 0, BTreeMap::new());
    let mut wrong = Vec::new();
    for told in heard.told.values() {
        if told.readings.is_empty() {
            wrong.push(format!("{}: no reader came to its end", told.run));
        }
        for reading in &told.readings {
            match reading {
                Ok(reading) => {
                    good += 1;
                    connections += reading.connections;
                    for (why, count) in &reading.ends {
                        *ends.entry(why.clone()).or_default() += count;
                    }
                }
                Err(error) => wrong.push(format!("a reader of {}: {error}", told.run)),
            }
        }
    }
    trial.tell("readers that saw 1…n, each once", good);
    trial.tell("readers that did not", wrong.len());
    trial.tell("their connections", connections);
    trial.tell("connections that ended otherwise than by our cut", counted(&ends));
    trial.break_all(wrong);
}

/// One run, looked at.
struct Looked {
    number: u64,
    run: String,
    story: Story,
}

/// Reads every log from every server, and compares and understands it.
async fn logs(
    fleet: &Arc<Fleet>,
    tenants: &Arc<Vec<Who>>,
    heard: Heard,
    calls: &BTreeMap<String, u64>,
    trial: &mut Trial,
) -> Findings {
    let bar = progress::bar(&format!("{}: reading all logs from each server", trial.name), heard.told.len() as u64);
    let (mut tasks, mut wrong, mut looked) = (JoinSet::new(), Vec::new(), Vec::new());
    let mut told = heard.told.into_values();
    loop {
        if tasks.len() < AT_A_TIME
            && let Some(told) = told.next()
        {
            let (fleet, tenants) = (fleet.clone(), tenants.clone());
            tasks.spawn(async move {
                let compared = compare(&fleet, &tenants[told.tenant], &told).await;
                compared.map_err(|error| format!("{}: {error}", told.run))
            });
            continue;
        }
        match tasks.join_next().await {
            None => break,
            Some(Ok(Ok(one))) => looked.push(one),
            Some(Ok(Err(error))) => wrong.push(error),
            Some(Err(error)) => wrong.push(error.to_string()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    trial.tell("logs the same at every reader and every server", looked.len());
    trial.break_all(wrong);
    understand(looked, calls, trial)
}

async fn compare(fleet: &Fleet, who: &Who, told: &Told) -> Result<Looked, String> {
    let mut first = None;
    for (place, address) in fleet.addresses().into_iter().enumerate() {
        let log = follow::whole(address, who, &told.run).await.map_err(|error| format!("server {place}: {error}"))?;
        match &first {
            None => first = Some(log),
            Some(first) => log.compare(first).map_err(|error| format!("server {place} and the first: {error}"))?,
        }
    }
    let log = first.ok_or("no server to read from")?;
    for reading in told.readings.iter().flatten() {
        log.compare(&reading.log)?;
    }
    Ok(Looked { number: told.number, run: told.run.clone(), story: Story::of(&log, told.shape) })
}

/// Ends, calls and changes of hands.
fn understand(looked: Vec<Looked>, calls: &BTreeMap<String, u64>, trial: &mut Trial) -> Findings {
    let mut findings = Findings::default();
    let (mut needed, mut known, mut made, mut unknown, mut most) = (0, 0, 0, 0, 0);
    let (mut wrong, mut failed) = (Vec::new(), Vec::new());
    for Looked { number, run, story } in looked {
        let asked = calls.get(&question(number)).copied().unwrap_or(0);
        needed += story.needed();
        known += story.calls;
        made += asked;
        unknown += asked.saturating_sub(story.calls);
        most = most.max(story.resumed.len());
        if asked > story.excused() {
            let hands = story.resumed.len();
            wrong.push(format!("{run}: {asked} model calls with {hands} changes of hands, {} in the log", story.calls));
        }
        wrong.extend(story.wrong.iter().map(|error| format!("{run}: {error}")));
        if story.end != "completed" {
            failed.push(format!("{run} {} after {} changes of hands", story.end, story.resumed.len()));
        }
        *findings.ends.entry(story.end).or_default() += 1;
        findings.resumed.extend(story.resumed);
    }
    trial.tell("runs by their end", counted(&findings.ends));
    if !failed.is_empty() {
        trial.tell("those that did not complete", failed.join("; "));
    }
    trial.tell(
        "model calls needed (1 per run, 1 per reset) / in the logs / made",
        format!("{needed} / {known} / {made}"),
    );
    trial.tell("calls made that no log knows of", unknown);
    trial.tell(
        "runs with more than one repeated call per change of hands",
        wrong.iter().filter(|w| w.contains(" model calls with ")).count(),
    );
    trial.tell("most changes of hands of one run", most);
    trial.break_all(wrong);
    findings
}

/// Without its prefix, as the database has it.
fn uuid(run: &str) -> &str {
    run.trim_start_matches("run_")
}

/// Times between an act and what came of it, for changes of hands with this reason: since the last act of these kinds
/// before each, and since the last event of the owner before. Returns the latter, sorted.
pub(crate) fn tell_hands(
    trial: &mut Trial,
    findings: &Findings,
    acts: &[Act],
    reason: &str,
    kinds: &[Kind],
) -> Vec<i64> {
    let of_reason = || findings.resumed.iter().filter(|resumed| resumed.reason == reason);
    let since = |resumed: &Resumed| {
        let act = acts.iter().rev().find(|act| kinds.contains(&act.kind) && act.at <= resumed.at)?;
        Some(resumed.at - act.at)
    };
    trial.tell(
        &format!("{reason}: ms since the act (p50 / p99 / most)"),
        quantiles(of_reason().filter_map(since).collect()),
    );
    let mut silence: Vec<i64> = of_reason().map(|resumed| resumed.silence).collect();
    trial.tell(&format!("{reason}: ms of silence in the log (p50 / p99 / most)"), quantiles(silence.clone()));
    let wordless = of_reason().filter_map(|resumed| resumed.wordless).collect();
    trial.tell(&format!("{reason}: ms without words in the log (p50 / p99 / most)"), quantiles(wordless));
    if let Some(longest) = of_reason().max_by_key(|resumed| resumed.silence) {
        trial.tell(&format!("{reason}: the longest silence"), &longest.run);
    }
    silence.sort_unstable();
    silence
}
