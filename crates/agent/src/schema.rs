//! Schemas that tenants write: bounded before they are used.
//!
//! Owns what a schema may be and whether arguments fit it. Promises that checking takes time in proportion to the schema's
//! size, which is bounded with all of its references followed, times that of the arguments; that nothing is fetched or read;
//! and that patterns take time in proportion to the text.

use std::collections::HashMap;

use serde_json::Value;

/// Nodes of a schema, with each reference counted as what it leads to.
const MAX_NODES: u64 = 2000;
/// The largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 256 * 1024;
/// How many things that are wrong with arguments are told.
const TOLD: usize = 5;
/// The longest words about one of them, in characters: they may quote the arguments.
const TOLD_CHARS: usize = 300;
/// Arguments up to this many bytes are looked at in place.
const IN_PLACE: usize = 4 * 1024;

/// Why a schema cannot be used, in words for its author.
pub(crate) type Unusable = String;

/// Whether this schema can be used.
pub(crate) fn check(schema: &Value) -> Result<(), Unusable> {
    compile(schema).map(drop)
}

/// What is wrong with arguments by their schema, in words for the model.
pub(crate) fn wrong_with(schema: &Value, args: &Value, bytes: usize) -> Option<String> {
    let look = || {
        let validator = match compile(schema) {
            Ok(validator) => validator,
            Err(words) => return Some(format!("the tool's schema cannot be used: {words}")),
        };
        let errors = validator.iter_errors(args).take(TOLD).map(|error| {
            let words: String = error.to_string().chars().take(TOLD_CHARS).collect();
            let at = error.instance_path().to_string();
            if at.is_empty() { words } else { format!("{at}: {words}") }
        });
        let errors: Vec<String> = errors.collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    };
    // Long ones take a while, and others are not to wait for them.
    if bytes > IN_PLACE { tokio::task::block_in_place(look) } else { look() }
}

/// Drafts that are understood, by a part of their names. Older ones name schemas in other ways.
const DRAFTS: [&str; 4] = ["draft-06", "draft-07", "2019-09", "2020-12"];

/// Whether the whole is one document of a known draft. A part with a name of its own would be another one, in which references
/// lead elsewhere than is counted here.
fn is_one(node: &Value, is_root: bool) -> Result<(), Unusable> {
    match node {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("$id", Value::String(_)) => return Err("$id is not supported".to_owned()),
                    ("$schema", Value::String(draft)) if is_root => {
                        if !DRAFTS.iter().any(|known| draft.contains(known)) {
                            return Err(
                                "its $schema is not supported: draft-06, draft-07, 2019-09 and 2020-12 are".to_owned()
                            );
                        }
                    }
                    ("$schema", Value::String(_)) => return Err("$schema is for the whole schema alone".to_owned()),
                    ("$ref", Value::String(to)) if to.contains('%') => {
                        return Err("a reference with % is not supported".to_owned());
                    }
                    _ => is_one(value, false)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| is_one(item, false)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn compile(schema: &Value) -> Result<jsonschema::Validator, Unusable> {
    is_one(schema, true)?;
    let mut sizes = Sizes { root: schema, known: HashMap::new(), open: Vec::new() };
    if sizes.of(schema)? > MAX_NODES {
        return Err(format!("it has more than {MAX_NODES} parts, with its references followed"));
    }
    let patterns = jsonschema::PatternOptions::regex().size_limit(MAX_PATTERN);
    jsonschema::options()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| error.to_string().chars().take(TOLD_CHARS).collect())
}

/// Counts a schema's parts.
struct Sizes<'a> {
    root: &'a Value,
    /// By where a reference leads.
    known: HashMap<&'a str, u64>,
    /// References that are being followed.
    open: Vec<&'a str>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, node: &'a Value) -> Result<u64, Unusable> {
        let mut sum: u64 = 1;
        match node {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("$ref", Value::String(to)) => sum = sum.saturating_add(self.behind(to)?),
                        ("$dynamicRef" | "$recursiveRef" | "$dynamicAnchor" | "$recursiveAnchor" | "$anchor", _) => {
                            return Err(format!("{name} is not supported: use $ref with a path such as #/$defs/name"));
                        }
                        // Counted where they are referred to.
                        ("$defs" | "definitions", Value::Object(_)) => {}
                        _ => sum = sum.saturating_add(self.of(value)?),
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    sum = sum.saturating_add(self.of(item)?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(sum)
    }

    fn behind(&mut self, to: &'a str) -> Result<u64, Unusable> {
        if let Some(size) = self.known.get(to) {
            return Ok(*size);
        }
        let Some(target) = to.strip_prefix('#').and_then(|path| self.root.pointer(path)) else {
            return Err(format!(
                "the reference {} leads nowhere in this schema",
                to.chars().take(80).collect::<String>()
            ));
        };
        if self.open.contains(&to) || to == "#" {
            return Err("a schema that contains itself is not supported".to_owned());
        }
        self.open.push(to);
        let size = self.of(target)?;
        self.open.pop();
        self.known.insert(to, size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_followed_within_bounds() {
        let fine = json!({"type": "object", "$defs": {"name": {"type": "string"}},
                          "properties": {"a": {"$ref": "#/$defs/name"}, "b": {"$ref": "#/$defs/name"}}});
        assert_eq!(check(&fine), Ok(()));
        assert!(wrong_with(&fine, &json!({"a": 1}), 7).expect("wrong").starts_with("/a: "));
        assert_eq!(wrong_with(&fine, &json!({"a": "x"}), 9), None);
    }

    #[test]
    fn what_grows_without_bounds_is_refused() {
        let mut defs = serde_json::Map::from_iter([("d0".to_owned(), json!({"type": "string"}))]);
        for n in 1..=40 {
            let before = json!({"$ref": format!("#/$defs/d{}", n - 1)});
            defs.insert(format!("d{n}"), json!({"allOf": [before, before]}));
        }
        let bomb = json!({"type": "object", "$defs": defs, "allOf": [{"$ref": "#/$defs/d40"}]});
        assert!(check(&bomb).expect_err("too large").contains("2000 parts"));
        let itself = json!({"type": "object", "properties": {"a": {"$ref": "#"}}});
        assert!(check(&itself).expect_err("endless").contains("contains itself"));
        let round = json!({"type": "object", "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}},
                           "properties": {"a": {"$ref": "#/$defs/a"}}});
        assert!(check(&round).expect_err("endless").contains("contains itself"));
        for away in ["http://127.0.0.1:1/x.json", "file:///etc/passwd", "#/$defs/none", "other"] {
            let schema = json!({"type": "object", "properties": {"a": {"$ref": away}}});
            assert!(check(&schema).expect_err("nowhere").contains("leads nowhere"), "{away}");
        }
        assert!(check(&json!({"type": "object", "properties": {"a": {"pattern": "("}}})).is_err());
        // Where references would lead elsewhere than is counted.
        for elsewhere in [
            json!({"$defs": {"a%62": {}, "ab": {"type": "string"}}, "$ref": "#/$defs/a%62"}),
            json!({"properties": {"a": {"$id": "b", "$ref": "#/$defs/c", "$defs": {"c": {}}}}, "$defs": {"c": {}}}),
            json!({"$defs": {"b": {"$id": "b", "properties": {"x": {}}}}, "$ref": "#/$defs/b/properties/x"}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"id": "x"}}}),
            json!({"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}),
        ] {
            assert!(
                check(&elsewhere).expect_err("refused").contains("not supported")
                    || elsewhere["properties"]["a"]["$schema"].is_string(),
                "{elsewhere}"
            );
            assert!(check(&elsewhere).is_err(), "{elsewhere}");
        }
        assert_eq!(
            check(&json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"$id": {}}})),
            Ok(())
        );
        let wide = "(a{1,100}){1,100}{1,100}";
        assert!(check(&json!({"type": "object", "properties": {"a": {"pattern": wide}}})).is_err());
    }
}
