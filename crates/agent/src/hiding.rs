//! Secrets in what tools answer.
//!
//! Owns the ways in which an endpoint may say back what it was told: as it is, as JSON writes it, as URLs do. Promises that
//! none of them is left, in an answer that was read, in one that was not taken apart, and at an end that was cut. What an
//! endpoint has turned into something else, such as base64, is not found: that secrets go to their hosts alone is what holds.

use bytes::Bytes;
use headwater_protocol::Problem;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// What stands in the place of a secret that was said back, and how long one is at least to be looked for: of a few letters
/// there would be nothing left to read.
const HIDDEN: &str = "[secret]";
const SHORTEST: usize = 6;

/// Secrets, in every way to write them, the longest first: none is hidden in parts because another is part of it.
pub(crate) struct Hiding(Vec<String>);

impl Hiding {
    /// What hides these.
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let secrets = secrets.into_iter().map(SecretString::expose_secret);
        let mut all: Vec<String> = secrets.filter(|text| text.len() >= SHORTEST).flat_map(spellings).collect();
        all.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        all.dedup();
        Self(all)
    }

    /// A text without them.
    pub(crate) fn text(&self, text: String) -> String {
        self.without(&text).unwrap_or(text)
    }

    /// Bytes without them.
    pub(crate) fn bytes(&self, content: Bytes) -> Bytes {
        let mut content = content;
        for secret in &self.0 {
            let found: Vec<usize> = memchr::memmem::find_iter(&content, secret.as_bytes()).collect();
            if found.is_empty() {
                continue;
            }
            let (mut hidden, mut from) = (Vec::with_capacity(content.len()), 0);
            for at in found {
                hidden.extend_from_slice(&content[from..at]);
                hidden.extend_from_slice(HIDDEN.as_bytes());
                from = at + secret.len();
            }
            hidden.extend_from_slice(&content[from..]);
            content = hidden.into();
        }
        content
    }

    /// A text that was cut, without the beginning of one at its end.
    pub(crate) fn end_of_cut(&self, mut text: String) -> String {
        for secret in &self.0 {
            let begun = (1..secret.len()).rev().filter(|at| secret.is_char_boundary(*at));
            if let Some(at) = begun.into_iter().find(|at| text.ends_with(&secret[..*at])) {
                text.truncate(text.len() - at);
            }
        }
        text
    }

    /// An answer without them, names of members included.
    pub(crate) fn value(&self, mut value: Value) -> Value {
        self.walk(&mut value);
        value
    }

    /// A problem whose words are without them.
    pub(crate) fn problem(&self, mut problem: Problem) -> Problem {
        problem.detail = problem.detail.map(|words| self.text(words));
        problem
    }

    fn without(&self, text: &str) -> Option<String> {
        let mut hidden: Option<String> = None;
        for secret in &self.0 {
            let text = hidden.as_deref().unwrap_or(text);
            if text.contains(secret.as_str()) {
                hidden = Some(text.replace(secret.as_str(), HIDDEN));
            }
        }
        hidden
    }

    fn walk(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(hidden) = self.without(text) {
                    *text = hidden;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(members) => {
                if members.keys().any(|name| self.without(name).is_some()) {
                    let all = std::mem::take(members).into_iter();
                    *members = all.map(|(name, value)| (self.text(name), value)).collect();
                }
                members.values_mut().for_each(|member| self.walk(member));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The ways to write a secret: as it is; as JSON writes it, with what encoders escape though they need not; in a URL.
fn spellings(secret: &str) -> impl Iterator<Item = String> {
    let quoted = Value::from(secret).to_string();
    let plain = &quoted[1..quoted.len() - 1];
    let ascii = |digits: fn(u16) -> String| -> String {
        let one = |c: char| match c {
            ' '..='~' => c.to_string(),
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| digits(*unit)).collect(),
        };
        plain.chars().map(one).collect()
    };
    let ways = [plain.to_owned(), ascii(|unit| format!("\\u{unit:04x}")), ascii(|unit| format!("\\u{unit:04X}"))];
    let slashed = ways.clone().map(|text| text.replace('/', "\\/"));
    std::iter::once(secret.to_owned()).chain(ways).chain(slashed).chain(in_urls(secret))
}

/// What encoders leave as it is beside letters and digits: what RFC 3986 reserves for nothing, what JavaScript's
/// `encodeURIComponent` and forms do, and what may stand in a path or a query.
const UNENCODED: [&str; 5] = ["-._~", "-_.!~*'()", "*-._", "-._~!$&'()*+,;=:@", "-._~!$&'()*+,;=:@/?"];

fn in_urls(secret: &str) -> Vec<String> {
    let write = |kept: &str, space: &str, lower: bool| -> String {
        let one = |byte: u8| match byte {
            b' ' => space.to_owned(),
            byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
            byte if lower => format!("%{byte:02x}"),
            byte => format!("%{byte:02X}"),
        };
        secret.bytes().map(one).collect()
    };
    let ways = UNENCODED.iter().flat_map(|kept| [(kept, "%20"), (kept, "+")]);
    ways.flat_map(|(kept, space)| [write(kept, space, false), write(kept, space, true)]).collect()
}

#[cfg(test)]
mod tests {
    use headwater_protocol::ErrorCode;
    use serde_json::json;

    use super::*;

    fn hiding(secret: &str) -> Hiding {
        Hiding::of([&SecretString::from(secret)])
    }

    #[test]
    fn a_secret_is_hidden_however_json_writes_it() {
        let hiding = hiding("pa\"ss/wörd");
        for said in
            ["pa\"ss/wörd", r#"pa\"ss/wörd"#, r#"pa\"ss\/w\u00f6rd"#, r#"pa\"ss\/w\u00F6rd"#, r#"pa\"ss/w\u00f6rd"#]
        {
            assert_eq!(hiding.bytes(format!("<{said}> and <{said}>").into()), "<[secret]> and <[secret]>", "{said}");
            let value = json!({ said: [said] });
            assert_eq!(hiding.value(value), json!({"[secret]": ["[secret]"]}), "{said}");
        }
    }

    #[test]
    fn a_secret_is_hidden_however_urls_write_it() {
        let hiding = hiding("hush& a/ö~'");
        for said in [
            "hush%26%20a%2F%C3%B6~%27",
            "hush%26%20a%2f%c3%b6~%27",
            "hush%26%20a%2F%C3%B6~'",
            "hush%26+a%2F%C3%B6%7E%27",
            "hush&%20a/%C3%B6~'",
        ] {
            assert_eq!(hiding.text(format!("/x?key={said}&y=1")), "/x?key=[secret]&y=1", "{said}");
            let problem = Problem::new(ErrorCode::ToolError, format!("no {said}"));
            assert_eq!(hiding.problem(problem).detail.as_deref(), Some("no [secret]"));
        }
    }

    #[test]
    fn short_ones_are_not_looked_for_and_parts_hide_nothing() {
        assert_eq!(hiding("short").bytes("short".into()), "short");
        let both = [SecretString::from("canary"), SecretString::from("canary-nest")];
        assert_eq!(Hiding::of(&both).text("a canary-nest, a canary".into()), "a [secret], a [secret]");
    }

    #[test]
    fn a_cut_end_holds_no_beginning_of_one() {
        let hiding = hiding("canary&nest");
        assert_eq!(hiding.end_of_cut("in a canary&ne".into()), "in a ");
        assert_eq!(hiding.end_of_cut("in a canary%26n".into()), "in a ");
        assert_eq!(hiding.end_of_cut("in a box".into()), "in a box");
    }
}
