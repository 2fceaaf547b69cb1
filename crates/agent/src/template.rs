//! Templates of what is sent to an endpoint: `{{args.order}}` and the like, filled in and escaped for their place.
//!
//! Promises that an argument never leaves its place: not its segment of a path, not its value of a query or a header, not
//! its string in a body; that scheme, host and port are those of the configuration; and that a secret stands in headers,
//! query and body alone.

use std::cell::Cell;
use std::collections::BTreeSet;

use headwater_protocol::api::{CONNECTION_HEADERS, HttpRequest};
use serde_json::{Map, Value};
use url::Url;

/// What templates may name.
pub(crate) trait Values {
    /// The value of a name such as `args.order`; `None` where there is none.
    fn value(&self, name: &str) -> Option<Value>;
}

/// What all values that are filled in may come to together, in bytes: a template may name a large one very often.
const MAX_FILLED: usize = 1 << 20;

/// Values as they are filled in, counted.
pub(crate) struct Filled<'a> {
    values: &'a dyn Values,
    left: Cell<usize>,
}

impl<'a> Filled<'a> {
    /// Nothing filled in yet.
    pub(crate) fn new(values: &'a dyn Values) -> Self {
        Self { values, left: Cell::new(MAX_FILLED) }
    }

    /// A value, unless it is too much by now.
    fn value(&self, name: &str) -> Result<Option<Value>, String> {
        let Some(value) = self.values.value(name) else { return Ok(None) };
        let size = text_of(&value).len();
        let left = self.left.get().checked_sub(size);
        self.left.set(left.ok_or_else(|| format!("what is filled in is more than {MAX_FILLED} bytes"))?);
        Ok(Some(value))
    }
}

/// A string in parts.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

const NAMES: [&str; 6] = ["user.id", "user.external_id", "run.id", "thread.id", "call.id", "args"];

fn is_name(name: &str) -> bool {
    let word =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match name.split_once('.') {
        Some(("args", path)) => path.split('.').all(word),
        Some(("secret", name)) => word(name),
        _ => NAMES.contains(&name),
    }
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("{{") {
        let end = rest[at..].find("}}").ok_or("a template is not closed")? + at;
        let name = rest[at + 2..end].trim();
        if !is_name(name) {
            return Err(format!("{{{{{name}}}}} is nothing that can be filled in"));
        }
        if at > 0 {
            parts.push(Part::Text(&rest[..at]));
        }
        parts.push(Part::Name(name));
        rest = &rest[end + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// What a template names.
fn names(text: &str) -> Result<Vec<&str>, String> {
    let names = parts(text)?.into_iter().filter_map(|part| match part {
        Part::Name(name) => Some(name),
        Part::Text(_) => None,
    });
    Ok(names.collect())
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => members.values().for_each(|member| strings(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Everything that a request names.
pub(crate) fn named(request: &HttpRequest) -> BTreeSet<String> {
    let mut texts = vec![request.url.as_str()];
    texts.extend(request.headers.values().chain(request.query.values()).map(String::as_str));
    if let Some(body) = &request.body {
        strings(body, &mut texts);
    }
    texts.into_iter().flat_map(|text| names(text).unwrap_or_default()).map(str::to_owned).collect()
}

/// Headers that this server says itself: not a tenant's to set, as those of the connection are not.
const KEPT: [&str; 2] = ["idempotency-key", "headwater-call"];

/// Whether a request can be made from these templates, and the URL up to where they begin.
///
/// # Errors
/// Where, as the end of a JSON pointer, and what is wrong.
pub(crate) fn check(request: &HttpRequest) -> Result<Url, (String, String)> {
    fn at(place: &str) -> impl FnOnce(String) -> (String, String) + use<'_> {
        move |words| (place.to_owned(), words)
    }
    let in_url = names(&request.url).map_err(at("url"))?;
    if let Some(secret) = in_url.iter().find(|name| name.starts_with("secret.")) {
        return Err(("url".into(), format!("{{{{{secret}}}}} would be in logs: put it into a header")));
    }
    let authority =
        request.url.split_once("://").map(|(scheme, rest)| (scheme, rest.find(['/', '?', '#']).unwrap_or(rest.len())));
    let Some((scheme, length)) = authority else {
        return Err(("url".into(), "must begin with http:// or https://".into()));
    };
    let origin = &request.url[..scheme.len() + 3 + length];
    if origin.contains("{{") {
        return Err(("url".into(), "scheme, host and port must be written out".into()));
    }
    let origin = Url::parse(origin).map_err(|error| ("url".to_owned(), error.to_string()))?;
    for (name, value) in &request.headers {
        let place = format!("headers/{name}");
        names(value).map_err(at(&place))?;
        let good = http::HeaderName::from_bytes(name.as_bytes())
            .is_ok_and(|name| !CONNECTION_HEADERS.contains(&name.as_str()) && !KEPT.contains(&name.as_str()));
        if !good {
            return Err((place, "is no header that can be set".into()));
        }
    }
    for (name, value) in &request.query {
        names(value).map_err(at(&format!("query/{name}")))?;
    }
    let mut texts = Vec::new();
    strings(request.body.as_ref().unwrap_or(&Value::Null), &mut texts);
    for text in texts {
        names(text).map_err(at("body"))?;
    }
    Ok(origin)
}

/// As text for a path, a query or a header.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn missing(name: &str) -> String {
    format!("{name} is missing")
}

/// The URL with everything filled in.
///
/// # Errors
/// What is missing, or would leave its place.
pub(crate) fn url(request: &HttpRequest, values: &Filled<'_>) -> Result<Url, String> {
    let mut text = String::new();
    for part in parts(&request.url)? {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Name(name) => {
                let value = values.value(name)?.filter(|value| !value.is_null()).ok_or_else(|| missing(name))?;
                let value = text_of(&value);
                // With nothing in its place another path would be left.
                if value.is_empty() && !text.contains(['?', '#']) {
                    return Err(format!("{name} is empty"));
                }
                // All but letters, digits, `-`, `_`, `~` and `.`: a slash or a question mark is part of the value.
                for byte in value.bytes() {
                    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.') {
                        text.push(byte as char);
                    } else {
                        text.push_str(&format!("%{byte:02X}"));
                    }
                }
            }
        }
    }
    // Segments of dots alone lead elsewhere: a template has none of them, and a value must not make one.
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if path.split('/').skip(3).any(|segment| matches!(segment, "." | "..")) {
        return Err("an argument would lead to another path".to_owned());
    }
    let mut url = Url::parse(&text).map_err(|error| error.to_string())?;
    for (name, template) in &request.query {
        if let Some(value) = whole(template, values)? {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    Ok(url)
}

/// A value of a query or a header. `None`: its only template has no value.
fn whole(template: &str, values: &Filled<'_>) -> Result<Option<String>, String> {
    let parts = parts(template)?;
    if let [Part::Name(name)] = parts.as_slice() {
        return Ok(values.value(name)?.filter(|value| !value.is_null()).map(|value| text_of(&value)));
    }
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Name(name) => text.push_str(&text_of(&values.value(name)?.ok_or_else(|| missing(name))?)),
        }
    }
    Ok(Some(text))
}

/// The headers with everything filled in.
///
/// # Errors
/// What is missing, or can be in no header.
pub(crate) fn headers(request: &HttpRequest, values: &Filled<'_>) -> Result<http::HeaderMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, template) in &request.headers {
        let Some(value) = whole(template, values)? else { continue };
        let bad = || format!("the header {name} cannot hold its value");
        let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        // No line can be begun in one: such a value is refused.
        let mut value = http::HeaderValue::from_str(&value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The body with everything filled in. A member whose only template has no value is left out.
///
/// # Errors
/// What is missing.
pub(crate) fn body(template: &Value, values: &Filled<'_>) -> Result<Option<Value>, String> {
    Ok(Some(match template {
        Value::String(text) => match parts(text)?.as_slice() {
            [Part::Name(name)] => return values.value(name),
            _ => Value::String(whole(text, values)?.unwrap_or_default()),
        },
        Value::Array(items) => {
            let items: Result<Vec<_>, String> = items.iter().map(|item| body(item, values)).collect();
            Value::Array(items?.into_iter().map(Option::unwrap_or_default).collect())
        }
        Value::Object(members) => {
            let mut filled = Map::new();
            for (name, member) in members {
                if let Some(member) = body(member, values)? {
                    filled.insert(name.clone(), member);
                }
            }
            Value::Object(filled)
        }
        plain => plain.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Given(Value);

    impl Values for Given {
        fn value(&self, name: &str) -> Option<Value> {
            match name.strip_prefix("args.") {
                Some(path) => self.0.pointer(&format!("/{}", path.replace('.', "/"))).cloned(),
                None => Some(json!(format!("<{name}>"))),
            }
        }
    }

    fn request(value: Value) -> HttpRequest {
        let mut whole = json!({"method": "POST", "url": "https://shop.test/"});
        for (name, member) in value.as_object().expect("an object") {
            whole[name] = member.clone();
        }
        serde_json::from_value(whole).expect("a request")
    }

    #[test]
    fn an_argument_stays_in_its_segment_and_its_value() {
        let request = request(json!({"url": "https://shop.test:8443/orders/{{args.order}}/refund?v=2&q={{args.q}}",
            "query": {"note": "{{args.note}}", "by": "me and {{args.note}}", "gone": "{{args.nothing}}"}}));
        assert_eq!(check(&request).map(|url| url.to_string()), Ok("https://shop.test:8443/".to_owned()));
        let fill = |args: Value| url(&request, &Filled::new(&Given(args))).map(|url| url.to_string());
        assert_eq!(
            fill(json!({"order": "7/../../admin?x=1#y", "q": "a&v=3", "note": "ü=1&b"})).expect("fills in"),
            "https://shop.test:8443/orders/7%2F..%2F..%2Fadmin%3Fx%3D1%23y/refund?v=2&q=a%26v%3D3\
             &by=me+and+%C3%BC%3D1%26b&note=%C3%BC%3D1%26b"
        );
        assert_eq!(
            fill(json!({"order": 7, "q": true, "note": [1]})).expect("fills in").matches("/7/refund").count(),
            1
        );
        for order in [".", "..", ""] {
            assert!(fill(json!({"order": order, "q": "", "note": ""})).is_err(), "{order}");
        }
        assert_eq!(fill(json!({"q": "", "note": ""})), Err("args.order is missing".to_owned()));
        for host in ["@evil.test", "evil.test", "%2F@evil.test"] {
            let url = fill(json!({"order": host, "q": "", "note": ""})).expect("fills in");
            assert!(url.starts_with("https://shop.test:8443/orders/"), "{url}");
        }
    }

    #[test]
    fn headers_hold_one_line() {
        let request =
            request(json!({"headers": {"Authorization": "Bearer {{secret.SHOP}}", "X-Order": "{{args.order}}"}}));
        let fill = |args: Value| headers(&request, &Filled::new(&Given(args)));
        let filled = fill(json!({"order": "7"})).expect("fills in");
        assert_eq!(filled["authorization"], "Bearer <secret.SHOP>");
        assert!(filled["x-order"].is_sensitive());
        assert!(fill(json!({"order": "7\r\nx-admin: yes"})).is_err());
        assert_eq!(fill(json!({})).expect("fills in").len(), 1, "what has no value is not sent");
    }

    #[test]
    fn a_body_keeps_its_types() {
        let template = json!({"amount": "{{args.amount}}", "text": "Order {{args.order}} of {{user.external_id}}",
            "list": ["{{args.amount}}", "{{args.nothing}}", 1], "nothing": "{{args.nothing}}", "deep": {"all": "{{args.deep.one}}"}});
        let given = Given(json!({"amount": 7.5, "order": "\"7\"", "deep": {"one": [1, 2]}}));
        let filled = body(&template, &Filled::new(&given)).expect("fills in");
        assert_eq!(
            filled.expect("a body"),
            json!({"amount": 7.5, "text": "Order \"7\" of <user.external_id>", "list": [7.5, null, 1], "deep": {"all": [1, 2]}})
        );
    }

    #[test]
    fn a_large_value_is_not_filled_in_without_end() {
        let given = Given(json!({"text": "x".repeat(10_000)}));
        let many = Value::Array(vec!["{{args.text}}".into(); 1000]);
        assert!(body(&many, &Filled::new(&given)).expect_err("too much").contains("more than"));
        assert!(body(&Value::Array(vec!["{{args.text}}".into(); 50]), &Filled::new(&given)).is_ok());
        let query = request(json!({"url": format!("https://shop.test/{}", "{{args.text}}".repeat(150))}));
        assert!(url(&query, &Filled::new(&given)).is_err());
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused_when_it_is_written() {
        for (value, place) in [
            (json!({"url": "https://{{args.host}}/"}), "url"),
            (json!({"url": "https://shop.test{{args.host}}/"}), "url"),
            (json!({"url": "{{args.scheme}}://shop.test/"}), "url"),
            (json!({"url": "https://shop.test:{{args.port}}/"}), "url"),
            (json!({"url": "https://shop.test/{{secret.A}}"}), "url"),
            (json!({"url": "https://shop.test/{{args.a"}), "url"),
            (json!({"url": "/orders"}), "url"),
            (json!({"headers": {"Host": "evil.test"}}), "headers/Host"),
            (json!({"headers": {"a b": "c"}}), "headers/a b"),
            (json!({"headers": {"a": "{{env.HOME}}"}}), "headers/a"),
            (json!({"query": {"a": "{{}}"}}), "query/a"),
            (json!({"body": {"a": ["{{args.}}"]}}), "body"),
        ] {
            let refused = check(&request(value.clone())).expect_err("refused");
            assert_eq!(refused.0, place, "{value}: {}", refused.1);
        }
    }
}
