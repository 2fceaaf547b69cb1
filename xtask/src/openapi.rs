//! The checked-in OpenAPI document against the one that the code gives.
//!
//! It is checked in so that a change of the API is seen in review, and so that SDKs have something to be made from.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cargo;

const FILE: &str = "docs/openapi.json";

/// The document of the code as it stands.
pub(crate) fn current() -> anyhow::Result<Value> {
    let mut command = cargo::command();
    command.args(["run", "--package", "headwater", "--", "openapi"]);
    read(&mut command)
}

/// The document of a server that was built before.
pub(crate) fn of(server: &Path) -> anyhow::Result<Value> {
    read(Command::new(server).arg("openapi"))
}

fn read(command: &mut Command) -> anyhow::Result<Value> {
    let output = command.stderr(std::process::Stdio::inherit()).output().context("could not run headwater")?;
    if !output.status.success() {
        bail!("`headwater openapi` failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("`headwater openapi` printed no JSON")
}

/// Compares the document with the file, or writes the file.
pub(crate) fn run(document: &Value, write: bool) -> anyhow::Result<()> {
    let path = cargo::root().join(FILE);
    if write {
        let text = serde_json::to_string_pretty(document)? + "\n";
        return std::fs::write(&path, text).with_context(|| format!("could not write {FILE}"));
    }
    let hint = "`cargo xtask openapi --write` brings it up to date";
    let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {FILE}; {hint}"))?;
    let kept: Value = serde_json::from_str(&text).with_context(|| format!("{FILE} is not JSON; {hint}"))?;
    let mut found = Vec::new();
    differences("", &kept, document, &mut found);
    if found.is_empty() {
        return Ok(());
    }
    let more = found.len().saturating_sub(20);
    found.truncate(20);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    bail!("{FILE} is not what the code says; {hint}:\n  {}", found.join("\n  "))
}

/// Where two documents differ, as JSON pointers.
fn differences(at: &str, kept: &Value, new: &Value, found: &mut Vec<String>) {
    match (kept, new) {
        (Value::Object(kept), Value::Object(new)) => {
            for (name, value) in kept {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                match new.get(name) {
                    Some(other) => differences(&at, value, other, found),
                    None => found.push(format!("{at} is gone")),
                }
            }
            for name in new.keys().filter(|name| !kept.contains_key(*name)) {
                found.push(format!("{at}/{} is new", name.replace('~', "~0").replace('/', "~1")));
            }
        }
        (Value::Array(kept), Value::Array(new)) if kept.len() == new.len() => {
            for (i, (kept, new)) in kept.iter().zip(new).enumerate() {
                differences(&format!("{at}/{i}"), kept, new, found);
            }
        }
        _ if kept == new => {}
        _ => found.push(format!("{at} differs")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_named() {
        let kept = json!({"a": 1, "b": {"c/d": [1, 2]}, "gone": null});
        let new = json!({"a": 1, "b": {"c/d": [1, 3]}, "e": 2});
        let mut found = Vec::new();
        differences("", &kept, &new, &mut found);
        assert_eq!(found, ["/b/c~1d/1 differs", "/gone is gone", "/e is new"]);
        found.clear();
        differences("", &kept, &kept, &mut found);
        assert!(found.is_empty());
    }
}
