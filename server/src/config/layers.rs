//! Laying one source of settings over another.
//!
//! Each source (a file, one variable) is laid over what is there and the whole is read at once, so that whatever is
//! wrong was made wrong by the last one. That is how an error can name its source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::{ConfigError, DEFAULTS, Settings};

/// Variables without a prefix, and the keys they set.
const PLAIN: [(&str, &[&str]); 10] = [
    ("DATABASE_APP_URL", &["database", "app_url"]),
    ("DATABASE_DIRECT_URL", &["database", "direct_url"]),
    ("DATABASE_URL", &["database", "url"]),
    ("HEADWATER_MASTER_KEY", &["auth", "master_key"]),
    ("HEADWATER_OPERATOR_KEY", &["auth", "operator_key"]),
    ("HEADWATER_SECRETS_KEY", &["auth", "secrets_key"]),
    ("HEADWATER_OLD_SECRETS_KEY", &["auth", "old_secrets_key"]),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", &["telemetry", "otlp_endpoint"]),
    ("OTEL_EXPORTER_OTLP_HEADERS", &["telemetry", "otlp_headers"]),
    ("PORT", &["server", "port"]),
];

/// What was laid so far, always readable as settings.
pub(super) struct Layers {
    table: Table,
    settings: Settings,
    explicit: BTreeSet<String>,
}

/// A key that does not read, and why.
struct KeyError {
    key: String,
    message: String,
}

impl Layers {
    pub(super) fn new() -> Self {
        let table: Table = toml::from_str(DEFAULTS).expect("config/default.toml is TOML");
        let settings = match read(&table) {
            Ok(settings) => settings,
            Err(error) => unreachable!("config/default.toml: {}: {}", error.key, error.message),
        };
        Self { table, settings, explicit: BTreeSet::new() }
    }

    pub(super) fn finish(self) -> Settings {
        Settings { explicit: self.explicit, ..self.settings }
    }

    pub(super) fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let fail = |message: String| ConfigError::File { path: path.to_owned(), message };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        // Not the error's own rendering: it shows the line, and there may be a secret in it.
        let table: Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            fail(match line {
                Some(line) => format!("line {line}: {}", error.message()),
                None => error.message().to_owned(),
            })
        })?;
        self.lay(table).map_err(|KeyError { key, message }| ConfigError::Key { path: path.to_owned(), key, message })
    }

    pub(super) fn environment(&mut self, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        for (name, path) in PLAIN {
            // An empty one is unset: container platforms pass on what they do not have.
            if let Some(value) = env.get(name).filter(|value| !value.is_empty()) {
                self.variable(name, path, value)?;
            }
        }
        for (name, value) in env {
            let Some(rest) = name.strip_prefix("HEADWATER__") else { continue };
            let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            if path.iter().any(String::is_empty) {
                let message = "write HEADWATER__SECTION__KEY, with two underscores between the parts".to_owned();
                return Err(ConfigError::Variable { name: name.clone(), message });
            }
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.variable(name, &path, value)?;
        }
        Ok(())
    }

    /// Lays one variable. What it means depends on what its key wants: `123` can be a number or a password.
    fn variable(&mut self, name: &str, path: &[&str], value: &str) -> Result<(), ConfigError> {
        let text = Value::String(value.to_owned());
        let literal = literal(value);
        let list = value.contains(',').then(|| {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        });
        let mut told = None;
        // The first one's error is told, and of a comma-separated list that of the text.
        for (candidate, tell) in [(literal, true), (Some(text), true), (list, false)] {
            let Some(candidate) = candidate else { continue };
            match self.lay(nest(path, candidate)) {
                Ok(()) => return Ok(()),
                Err(error) if tell => _ = told.get_or_insert(error),
                Err(_) => {}
            }
        }
        let KeyError { key, message } = told.expect("text is always tried");
        let message = if key == path.join(".") { message } else { format!("{key}: {message}") };
        Err(ConfigError::Variable { name: name.to_owned(), message })
    }

    /// Lays a table over what is there, or leaves all as it was.
    fn lay(&mut self, over: Table) -> Result<(), KeyError> {
        let mut table = self.table.clone();
        let mut set = BTreeSet::new();
        merge(&mut table, over, "", &mut set);
        self.settings = read(&table)?;
        self.table = table;
        self.explicit.append(&mut set);
        Ok(())
    }
}

/// The value, if it is written as TOML writes values. A bare word is not.
fn literal(value: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {value}")).ok()?;
    let value = table.remove("value")?;
    // A line break could smuggle in further keys.
    table.is_empty().then_some(value)
}

fn nest(path: &[&str], value: Value) -> Table {
    let (last, sections) = path.split_last().expect("a key has a name");
    let mut table = Table::from_iter([((*last).to_owned(), value)]);
    for section in sections.iter().rev() {
        table = Table::from_iter([((*section).to_owned(), Value::Table(table))]);
    }
    table
}

fn merge(table: &mut Table, over: Table, prefix: &str, set: &mut BTreeSet<String>) {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(over)) => merge(below, over, &path, set),
            (_, Value::Table(over)) => {
                let mut below = Table::new();
                merge(&mut below, over, &path, set);
                table.insert(key, Value::Table(below));
            }
            (_, value) => {
                set.insert(path);
                table.insert(key, value);
            }
        }
    }
}

fn read(table: &Table) -> Result<Settings, KeyError> {
    let settings: Settings = serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
        let mut key: Vec<String> = Vec::new();
        for segment in error.path() {
            match segment {
                Segment::Map { key: name } => key.push(name.clone()),
                Segment::Seq { index } => key.push(index.to_string()),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        KeyError { key: key.join("."), message: reword(error.inner().message()) }
    })?;
    settings.check().map_err(|(key, message)| KeyError { key, message })?;
    Ok(settings)
}

/// serde's words in an operator's, without the value where it is text: it may be a secret in the wrong place.
fn reword(message: &str) -> String {
    if message.starts_with("unknown field") {
        let known = message.split_once("expected ").map_or("", |(_, known)| known).trim_start_matches("one of ");
        return match known {
            "" => "there is no such key".to_owned(),
            known => format!("there is no such key; there are {known}"),
        };
    }
    for (kind, rest) in
        [("type", message.strip_prefix("invalid type: ")), ("value", message.strip_prefix("invalid value: "))]
    {
        let Some((found, wanted)) = rest.and_then(|rest| rest.rsplit_once(", expected ")) else { continue };
        let wanted = match wanted {
            "u16" => "a whole number from 0 to 65535",
            "u32" => "a whole number from 0 to 4294967295",
            "u64" | "usize" => "a whole number",
            wanted if wanted.starts_with("struct ") || wanted == "a map" => "a table of keys",
            wanted => wanted,
        };
        let found = if found.starts_with("string ") { "other text" } else { found };
        return format!("must be {wanted}, not {found} (wrong {kind})");
    }
    message.trim_end().to_owned()
}
