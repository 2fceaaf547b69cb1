//! The API's reference, made from its own OpenAPI document: every operation by what it is about, and every object with its fields.
//!
//! Promises that it says what the document says and no more, and that its links lead somewhere on the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::escape;

/// The page's body.
pub(super) fn reference(document: &Value) -> String {
    let mut out = String::from(
        "<p>Machine-readable: <a href=/openapi.json>openapi.json</a>. Errors: <a href=/docs/errors>every code</a>. \
         Fields that are not marked are always there in answers; * marks those that a request has to give.",
    );
    let groups = by_tag(document);
    out.push_str("<nav><p>");
    for tag in groups.keys() {
        let _ = write!(out, "<a href=#{0}>{1}</a> ", escape(tag), escape(&words(tag)));
    }
    out.push_str("<a href=#objects>objects</a></nav>");
    for (tag, operations) in &groups {
        let _ = write!(out, "<h2 id={0}>{1}</h2>", escape(tag), escape(&words(tag)));
        for (method, path, operation) in operations {
            operation_of(method, path, operation, &mut out);
        }
    }
    out.push_str("<h2 id=objects>objects</h2>");
    for (name, schema) in object(&document["components"]["schemas"]) {
        schema_of(name, schema, &mut out);
    }
    out
}

type Operations<'a> = Vec<(&'a str, &'a str, &'a Value)>;

fn by_tag(document: &Value) -> BTreeMap<String, Operations<'_>> {
    let mut groups: BTreeMap<String, Operations<'_>> = BTreeMap::new();
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(item) {
            let tag = operation["tags"][0].as_str().unwrap_or("other").to_owned();
            groups.entry(tag).or_default().push((method, path, operation));
        }
    }
    groups
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn operation_of(method: &str, path: &str, operation: &Value, out: &mut String) {
    let name = operation["operationId"].as_str().unwrap_or_default();
    let summary = operation["summary"].as_str().unwrap_or_default();
    let _ = write!(
        out,
        "<section id={0}><h3><code>{1} {2}</code></h3><p>{3} <small><code>{0}</code></small></p>",
        escape(name),
        method.to_uppercase(),
        escape(path),
        escape(summary)
    );
    let given = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !given.is_empty() || !body.is_null() {
        out.push_str("<table>");
        for parameter in given {
            let text = |field: &str| escape(parameter[field].as_str().unwrap_or_default());
            let mark = if parameter["required"] == true { "*" } else { "" };
            let kind = kind_of(&parameter["schema"]);
            let (name, place, what) = (text("name"), text("in"), text("description"));
            let _ = write!(out, "<tr><td><code>{name}</code>{mark}<td>{place}<td>{kind}<td>{what}");
        }
        if !body.is_null() {
            let _ = write!(out, "<tr><td>body*<td><td>{}<td>", kind_of(body));
        }
        out.push_str("</table>");
    }
    out.push_str("<p>");
    for (status, answer) in object(&operation["responses"]) {
        if status == "default" {
            continue;
        }
        let kind = object(&answer["content"]).next().map(|(_, content)| kind_of(&content["schema"]));
        let what = escape(answer["description"].as_str().unwrap_or_default());
        let _ = write!(out, "{} {} {what} ", escape(status), kind.unwrap_or_default());
    }
    out.push_str("</section>");
}

fn schema_of(name: &str, schema: &Value, out: &mut String) {
    let what = escape(schema["description"].as_str().unwrap_or_default());
    let _ = write!(out, "<section id=schema-{0}><h3>{0}</h3><p>{what}", escape(name));
    let mut members = Vec::new();
    fields_of(schema, &mut members);
    if members.is_empty() {
        let _ = write!(out, "<p>{}", kind_of(schema));
    } else {
        out.push_str("<table>");
        for (name, field, is_due) in members {
            let mark = if is_due { "*" } else { "" };
            let what = escape(description_of(field));
            let _ = write!(out, "<tr><td><code>{}</code>{mark}<td>{}<td>{what}", escape(name), kind_of(field));
        }
        out.push_str("</table>");
    }
    out.push_str("</section>");
}

/// The fields of an object, also of one that is made of several.
fn fields_of<'a>(schema: &'a Value, members: &mut Vec<(&'a str, &'a Value, bool)>) {
    let due = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    members.extend(object(&schema["properties"]).map(|(name, field)| (name, field, due.iter().any(|due| due == name))));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields_of(part, members);
    }
}

/// What a field is for; of one that may be null it stands with what it is otherwise.
fn description_of(field: &Value) -> &str {
    let own = field["description"].as_str();
    let within = || field["oneOf"].as_array()?.iter().find_map(|part| part["description"].as_str());
    own.or_else(within).unwrap_or_default()
}

/// A type in words, with a link where it has a name.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=#schema-{0}>{0}</a>", escape(name));
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str).map(|word| format!("<code>{}</code>", escape(word)));
        return words.collect::<Vec<_>>().join(" | ");
    }
    for all in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[all].as_array() {
            let between = if all == "allOf" { " & " } else { " | " };
            return parts.iter().map(kind_of).collect::<Vec<_>>().join(between);
        }
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of(&schema["items"])),
        Value::String(kind) if kind == "object" && !schema["properties"].is_null() => {
            let fields =
                object(&schema["properties"]).map(|(name, field)| format!("{}: {}", escape(name), kind_of(field)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::String(kind) => escape(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(" | "),
        _ => "any JSON".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_there_and_every_link_leads_somewhere() {
        let document = crate::router::openapi();
        let page = reference(&document);
        for (_, item) in object(&document["paths"]) {
            for (_, operation) in object(item) {
                let name = operation["operationId"].as_str().expect("a name");
                assert!(page.contains(&format!("<section id={name}>")), "{name}");
            }
        }
        let places: BTreeSet<&str> =
            page.split(" id=").skip(1).filter_map(|rest| rest.split(['>', ' ']).next()).collect();
        for link in page.split("href=#").skip(1).filter_map(|rest| rest.split('>').next()) {
            assert!(places.contains(link), "nothing is at #{link}");
        }
        assert!(!page.contains("<script"), "it is a document");
    }
}
