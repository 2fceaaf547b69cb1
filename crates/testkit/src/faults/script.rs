//! Scripts and logs as they lie in `sdk/faults`, and the plays they make: one for each number that a script varies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

/// A run's log, recorded.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) run: String,
    /// Its events' lines, from seq 1.
    pub(crate) lines: Vec<String>,
    /// The run as it stood at some event.
    pub(crate) snapshot: Value,
}

/// One thing to play: a script with its number put in.
#[derive(Debug, Clone)]
pub struct Play {
    /// `cut-at-every-event/3`.
    pub id: String,
    script: Value,
    log: Arc<Log>,
}

impl Play {
    /// What the client is to do: see `sdk/faults/README.md`.
    pub fn call(&self) -> &Value {
        &self.script["call"]
    }

    /// What is to come of it: the run, `items` with whole events' lines, `error`, `tokens`, `cursor`, `ignore`.
    pub fn expect(&self) -> Value {
        let expect = &self.script["expect"];
        let mut items = Vec::new();
        for item in expect["items"].as_array().expect("a script says what its client yields") {
            match item["events"].as_array() {
                Some(range) => items.extend(self.log.between(range).map(|(_, line)| item_of(line))),
                None => items.push(self.filled(item)),
            }
        }
        let ignore = match items.iter().any(|item| item.get("caught_up").is_some()) {
            true => json!([]),
            false => json!(["caught_up"]),
        };
        json!({
            "run": self.log.run, "items": items, "error": expect["error"], "tokens": expect["tokens"],
            "cursor": expect["cursor"], "ignore": ignore,
        })
    }

    /// The play as the player tells of it.
    pub(crate) fn told(&self) -> Value {
        json!({"id": self.id, "about": self.script["about"], "call": self.call(), "expect": self.expect()})
    }

    pub(crate) fn run(&self) -> &str {
        &self.log.run
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The answer to the nth request, from 0: the last one is for all that follow.
    pub(crate) fn answer(&self, nth: usize) -> &Value {
        let answers = self.script["answers"].as_array().expect("a script has answers");
        answers.get(nth).or(answers.last()).expect("at least one")
    }

    pub(crate) fn requests(&self) -> Option<usize> {
        self.script["requests"].as_u64().and_then(|requests| requests.try_into().ok())
    }

    fn filled(&self, item: &Value) -> Value {
        let text = item.to_string().replace("{run}", &self.log.run);
        serde_json::from_str(&text).expect("an id needs no escapes")
    }
}

fn item_of(line: &str) -> Value {
    match line.contains(r#""type":"hidden""#) {
        true => json!({"hidden": line}),
        false => json!({"event": line}),
    }
}

impl Log {
    /// The events of `[from, to]`, where there are such.
    pub(crate) fn between(&self, range: &[Value]) -> impl Iterator<Item = (u64, &str)> {
        let (from, to) = (range[0].as_u64().unwrap_or(1).max(1), range[1].as_u64().unwrap_or(0));
        (1..).zip(&self.lines).filter(move |(seq, _)| (from..=to).contains(seq)).map(|(seq, line)| (seq, line.as_str()))
    }
}

/// Every play there is.
pub(crate) struct Plays(BTreeMap<String, Play>);

impl Plays {
    pub(crate) fn read() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/faults");
        let mut logs = BTreeMap::new();
        let mut plays = BTreeMap::new();
        let mut scripts: Vec<PathBuf> =
            std::fs::read_dir(&dir).expect("the scripts").map(|entry| entry.expect("a file").path()).collect();
        scripts.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        scripts.sort();
        for path in scripts {
            let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
            let script: Value = serde_json::from_str(&text_of(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let of = script["log"].as_str().unwrap_or("short").to_owned();
            let log = logs.entry(of.clone()).or_insert_with(|| Arc::new(read_log(&dir.join("logs"), &of))).clone();
            let Some((variable, range)) = script["vary"].as_object().and_then(|vary| vary.iter().next()) else {
                plays.insert(name.clone(), Play { id: name, script, log });
                continue;
            };
            let bound = |at: usize| range[at].as_u64().expect("a range of two numbers");
            for number in bound(0)..=bound(1) {
                let id = format!("{name}/{number:02}");
                plays.insert(id.clone(), Play { id, script: put(&script, variable, number), log: log.clone() });
            }
        }
        Self(plays)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Play> {
        self.0.values()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Play> {
        self.0.get(id)
    }
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_log(dir: &Path, name: &str) -> Log {
    let lines: Vec<String> = text_of(&dir.join(format!("{name}.jsonl"))).lines().map(str::to_owned).collect();
    let first: Value = serde_json::from_str(&lines[0]).expect("an event");
    let run = first["run"].as_str().expect("an event names its run").to_owned();
    let mut snapshot: Value = serde_json::from_str(&text_of(&dir.join("waits.snapshot.json"))).expect("a snapshot");
    snapshot["id"] = run.clone().into();
    Log { run, lines, snapshot }
}

/// The script with this number in place of `"$name"`, and the ones behind it in place of `"$name+1"`, …
fn put(value: &Value, name: &str, number: u64) -> Value {
    match value {
        Value::String(text) => {
            let Some(rest) = text.strip_prefix('$').and_then(|text| text.strip_prefix(name)) else {
                return value.clone();
            };
            let more = rest.strip_prefix('+').map_or(0, |more| more.parse().expect("a number behind +"));
            (number + more).into()
        }
        Value::Array(values) => values.iter().map(|value| put(value, name, number)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(field, value)| (field.clone(), put(value, name, number)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
