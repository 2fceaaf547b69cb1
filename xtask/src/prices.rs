//! `config/pricing.toml` against a table that somebody else keeps.
//!
//! Owns how litellm's `model_prices_and_context_window.json` (MIT licence; in its PyPI package too, as
//! `…_backup.json`) is read. Promises that nothing is fetched, that what would change is shown before it is, and that only prices
//! and output limits of models that stand in the file are changed, or models added that were asked for by name.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

const FILE: &str = "config/pricing.toml";

/// Their names for providers that we call otherwise.
const THEIRS: [(&str, &str); 2] = [("google", "gemini"), ("together", "together_ai")];

/// What is compared, ours and theirs. Dollars per token there.
const PRICES: [(&str, &str); 4] = [
    ("input_pico_usd", "input_cost_per_token"),
    ("cached_input_pico_usd", "cache_read_input_token_cost"),
    ("cache_write_pico_usd", "cache_creation_input_token_cost"),
    ("output_pico_usd", "output_cost_per_token"),
];

/// Compares, and with `write` changes the file; `add`: models that are not in it.
pub(crate) fn run(table: &Path, write: bool, add: &[String]) -> anyhow::Result<()> {
    let read =
        |path: &Path| std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()));
    let table: BTreeMap<String, Value> = serde_json::from_str(&read(table)?).context("the table is no JSON object")?;
    let ours = read(Path::new(FILE))?;
    let (mut lines, mut changes, mut missing) = (Vec::new(), 0, Vec::new());
    let mut known = Vec::new();
    for line in ours.lines() {
        let Some((model, entry)) = entry(line)? else {
            lines.push(line.to_owned());
            continue;
        };
        known.push(model.clone());
        if model.ends_with("/*") {
            lines.push(line.to_owned());
            continue;
        }
        let Some(theirs) = find(&table, &model) else {
            missing.push(model);
            lines.push(line.to_owned());
            continue;
        };
        let mut updated = entry.clone();
        update(&mut updated, theirs);
        if updated == entry {
            lines.push(line.to_owned());
            continue;
        }
        changes += 1;
        println!("{model}");
        for (name, before, now) in differences(&entry, &updated) {
            println!("    {name}: {before} → {now}");
        }
        lines.push(rendered(&model, &updated));
    }
    for model in add {
        if known.contains(model) {
            bail!("{model} is in {FILE} already");
        }
        let theirs = find(&table, model).with_context(|| format!("{model} is not in the table"))?;
        let mut made = toml::Table::new();
        update(&mut made, theirs);
        if !made.contains_key("input_pico_usd") || !made.contains_key("output_pico_usd") {
            bail!("{model} has no price in the table");
        }
        if let Some(window) = theirs["max_input_tokens"].as_i64() {
            made.insert("context_window".to_owned(), window.into());
        }
        let modalities = if theirs["supports_vision"] == true { vec!["text", "image"] } else { vec!["text"] };
        made.insert("input_modalities".to_owned(), modalities.into());
        println!("{model}\n    new: {}", rendered(model, &made));
        // Behind the last one of its provider.
        let provider = format!("\"{}/", model.split('/').next().unwrap_or_default());
        let at = lines.iter().rposition(|line| line.starts_with(&provider)).map_or(lines.len(), |at| at + 1);
        lines.insert(at, rendered(model, &made));
        changes += 1;
    }
    println!("{changes} of {} models differ; not in the table: {}", known.len(), list(&missing));
    if !write {
        return if changes == 0 { Ok(()) } else { bail!("`--write` changes {FILE}") };
    }
    std::fs::write(FILE, lines.join("\n") + "\n").with_context(|| format!("{FILE} cannot be written"))?;
    println!("{FILE} is written: say in its head from which release of the table, and as of when");
    Ok(())
}

fn list(models: &[String]) -> String {
    if models.is_empty() { "none".to_owned() } else { models.join(", ") }
}

/// A line that describes a model.
fn entry(line: &str) -> anyhow::Result<Option<(String, toml::Table)>> {
    if !line.starts_with('"') {
        return Ok(None);
    }
    let parsed: toml::Table = toml::from_str(line).with_context(|| format!("{FILE}: {line}"))?;
    let first = parsed.into_iter().next();
    Ok(first.and_then(|(model, entry)| Some((model, entry.as_table()?.clone()))))
}

/// A model in their table, under one of the names that it may have there.
fn find<'a>(table: &'a BTreeMap<String, Value>, model: &str) -> Option<&'a Value> {
    let (provider, id) = model.split_once('/')?;
    let theirs = THEIRS.iter().find(|(ours, _)| *ours == provider).map_or(provider, |(_, theirs)| theirs);
    [id.to_owned(), model.to_owned(), format!("{theirs}/{id}")].iter().find_map(|name| {
        let found = table.get(name)?;
        (found["litellm_provider"] == provider || found["litellm_provider"] == theirs).then_some(found)
    })
}

/// Takes over what they say.
fn update(entry: &mut toml::Table, theirs: &Value) {
    for (ours, name) in PRICES {
        if let Some(pico) = pico(theirs, name) {
            entry.insert(ours.to_owned(), pico.into());
        }
    }
    if let Some(most) = theirs["max_output_tokens"].as_i64() {
        entry.insert("max_output_tokens".to_owned(), most.into());
    }
    // Prices of a long context: `…_above_200k_tokens`.
    let above =
        |name: &str| name.strip_prefix("input_cost_per_token_above_")?.strip_suffix("k_tokens")?.parse::<i64>().ok();
    let Some(thousands) = theirs.as_object().and_then(|theirs| theirs.keys().find_map(|name| above(name))) else {
        return;
    };
    let mut long = toml::Table::new();
    long.insert("above_input_tokens".to_owned(), (thousands * 1000).into());
    for (ours, name) in PRICES {
        let name = format!("{name}_above_{thousands}k_tokens");
        if let Some(pico) = pico(theirs, &name) {
            long.insert(ours.to_owned(), pico.into());
        }
    }
    if long.contains_key("output_pico_usd") {
        entry.insert("long_context".to_owned(), long.into());
    }
}

fn pico(theirs: &Value, name: &str) -> Option<i64> {
    theirs[name].as_f64().map(|dollars| (dollars * 1e12).round() as i64)
}

fn differences(before: &toml::Table, now: &toml::Table) -> Vec<(String, String, String)> {
    let shown = |table: &toml::Table, name: &str| table.get(name).map_or("–".to_owned(), value);
    let names = now.keys().filter(|name| before.get(*name) != now.get(*name));
    names.map(|name| (name.clone(), shown(before, name), shown(now, name))).collect()
}

/// As the file has it: in one line, in this order.
fn rendered(model: &str, entry: &toml::Table) -> String {
    const ORDER: [&str; 9] = [
        "input_pico_usd",
        "cached_input_pico_usd",
        "cache_write_pico_usd",
        "output_pico_usd",
        "context_window",
        "max_output_tokens",
        "input_modalities",
        "long_context",
        "aliases",
    ];
    let fields = ORDER.iter().filter_map(|name| Some(format!("{name} = {}", value(entry.get(*name)?))));
    format!("\"{model}\" = {{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

fn value(value: &toml::Value) -> String {
    match value {
        toml::Value::Integer(number) => grouped(*number),
        toml::Value::Table(table) => {
            const ORDER: [&str; 5] = [
                "above_input_tokens",
                "input_pico_usd",
                "cached_input_pico_usd",
                "cache_write_pico_usd",
                "output_pico_usd",
            ];
            let fields = ORDER.iter().filter_map(|name| Some(format!("{name} = {}", self::value(table.get(*name)?))));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        toml::Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// `1_000_000`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_of_the_file_is_rendered_as_it_stands() {
        let file = include_str!("../../config/pricing.toml");
        let mut models = 0;
        for line in file.lines() {
            if let Some((model, entry)) = entry(line).expect("it reads") {
                assert_eq!(rendered(&model, &entry), line);
                models += 1;
            }
        }
        assert!(models > 50);
    }

    #[test]
    fn what_they_say_is_taken_over() {
        let table: BTreeMap<String, Value> = serde_json::from_value(json!({
            "gemini/g-1": {"litellm_provider": "gemini", "input_cost_per_token": 1.25e-7, "output_cost_per_token": 2e-6,
                "max_output_tokens": 10, "input_cost_per_token_above_200k_tokens": 2.5e-7,
                "output_cost_per_token_above_200k_tokens": 4e-6, "input_cost_per_token_above_200k_tokens_priority": 9.0},
            "g-1": {"litellm_provider": "somebody", "input_cost_per_token": 9.0},
        }))
        .expect("a table");
        let mut ours =
            toml::from_str::<toml::Table>("input_pico_usd = 1\noutput_pico_usd = 2_000_000\ncontext_window = 5")
                .expect("TOML");
        update(&mut ours, find(&table, "google/g-1").expect("it is there"));
        assert_eq!(
            rendered("google/g-1", &ours),
            "\"google/g-1\" = { input_pico_usd = 125_000, output_pico_usd = 2_000_000, context_window = 5, max_output_tokens = 10, \
             long_context = { above_input_tokens = 200_000, input_pico_usd = 250_000, output_pico_usd = 4_000_000 } }"
        );
        assert!(find(&table, "openai/g-1").is_none(), "another provider's model of that name");
    }
}
