//! How an attempt failed: the error people read, and what may be done about it.
//!
//! Owns [`Failure`] and the mapping from a provider's status and error object to our codes. Promises that what the provider
//! said is kept, cut to [`MAX_DETAIL_CHARS`] and without the key. Never decides to try again; that is `retry`.

use std::borrow::Cow;
use std::time::Duration;

use headwater_protocol::{ErrorCode, Fault, Problem};
use serde::Deserialize;

/// The most that is kept of a provider's own words.
pub(crate) const MAX_DETAIL_CHARS: usize = 500;

/// One attempt's end that is no success.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    /// Whether the same attempt may succeed soon.
    pub(crate) retry: bool,
    /// Whether another provider may be asked instead.
    pub(crate) fallback: bool,
    /// When the provider wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the provider is well, and asked too much.
    pub(crate) overloaded: bool,
}

impl Failure {
    /// A failure whose code says what may be done: what is the provider's fault may be tried again and elsewhere.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let provider = matches!(
            code,
            ErrorCode::ProviderInvalidResponse
                | ErrorCode::ProviderRateLimited
                | ErrorCode::ProviderTimeout
                | ErrorCode::ProviderTruncated
                | ErrorCode::ProviderUnavailable
        );
        let mut problem = Problem::new(code, detail);
        if matches!(code, ErrorCode::ProviderAuthFailed | ErrorCode::ProviderQuotaExhausted) {
            // Of the platform's own keys no tenant can do anything about it.
            problem = problem.blame(Fault::Server);
        }
        let overloaded = code == ErrorCode::ProviderRateLimited;
        Self { problem, retry: provider, fallback: provider, retry_after: None, overloaded }
    }

    /// Of a call with the tenant's own key: what is wrong with that is for the tenant to put right.
    pub(crate) fn with_own_key(mut self) -> Self {
        if matches!(self.problem.code, ErrorCode::ProviderAuthFailed | ErrorCode::ProviderQuotaExhausted) {
            self.problem = self.problem.blame(Fault::Tenant);
        }
        self
    }

    /// A phase took too long. When all the time is used up there is none left for another attempt.
    pub(crate) fn timeout(phase: &'static str, ms: u64) -> Self {
        let detail = format!("the provider exceeded the {phase} timeout of {ms} ms");
        let failure = Self::new(ErrorCode::ProviderTimeout, detail);
        let more = phase != "total";
        Self { problem: failure.problem.with("phase", phase), retry: more, fallback: more, ..failure }
    }

    /// The answer makes no sense.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::ProviderInvalidResponse, detail)
    }

    /// Not worth another attempt at the same model.
    pub(crate) fn final_here(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Could not be asked in time: what other providers do is another matter.
    pub(crate) fn not_asked(problem: Problem) -> Self {
        Self { problem, retry: false, fallback: true, retry_after: None, overloaded: false }
    }

    /// Adds a further member to the problem.
    pub(crate) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.problem = self.problem.with(name, value);
        self
    }
}

/// An error body of the OpenAI dialect, as loosely as it is met in the wild.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorField,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Object(ErrorObject),
    Text(String),
}

#[derive(Debug, Default, Deserialize)]
struct ErrorObject {
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<Word>,
    #[serde(default)]
    code: Option<Word>,
}

/// Some send numbers where others send names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(i64),
    Other(serde::de::IgnoredAny),
}

impl ErrorObject {
    fn words(&self) -> impl Iterator<Item = &str> {
        [&self.code, &self.kind].into_iter().filter_map(|word| match word {
            Some(Word::Text(text)) => Some(text.as_str()),
            Some(Word::Number(_) | Word::Other(_)) | None => None,
        })
    }

    fn says(&self, names: &[&str]) -> bool {
        self.words().any(|word| names.contains(&word))
    }

    /// Anthropic names money and length in words alone.
    fn mentions(&self, words: &str) -> bool {
        self.says(&["invalid_request_error"]) && self.message.as_deref().is_some_and(|message| message.contains(words))
    }

    /// An HTTP status given as the code: what gateways put into the stream.
    fn status(&self) -> Option<u16> {
        match &self.code {
            Some(Word::Number(number)) => u16::try_from(*number).ok(),
            Some(Word::Text(text)) => text.parse().ok(),
            Some(Word::Other(_)) | None => None,
        }
    }
}

fn read(body: &[u8]) -> ErrorObject {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error: ErrorField::Object(object) }) => object,
        Ok(ErrorBody { error: ErrorField::Text(text) }) => {
            ErrorObject { message: Some(text), ..ErrorObject::default() }
        }
        Err(_) => ErrorObject { message: Some(String::from_utf8_lossy(body).into_owned()), ..ErrorObject::default() },
    }
}

/// The failure that a status other than 200 and its body mean.
pub(crate) fn from_status(status: u16, body: &[u8], key: Option<&str>) -> Failure {
    let object = read(body);
    let said = words_of(&object, key);
    let detail = if said.is_empty() { format!("status {status}") } else { format!("status {status}: {said}") };
    classify(Some(status), &object, detail).with("provider_status", status)
}

/// The failure that an `error` object inside a stream answered with 200 means.
pub(crate) fn from_stream(error: &[u8], key: Option<&str>) -> Failure {
    let object = match serde_json::from_slice::<ErrorField>(error) {
        Ok(ErrorField::Object(object)) => object,
        Ok(ErrorField::Text(text)) => ErrorObject { message: Some(text), ..ErrorObject::default() },
        Err(_) => ErrorObject::default(),
    };
    let detail = match words_of(&object, key) {
        said if said.is_empty() => "the provider sent an error inside its answer".to_owned(),
        said => said.into_owned(),
    };
    classify(object.status().filter(|status| *status >= 400), &object, detail)
}

fn classify(status: Option<u16>, object: &ErrorObject, detail: String) -> Failure {
    use ErrorCode as E;
    // Money and length first: providers hide them behind 429 and 400.
    let code =
        if object.says(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"])
            || object.mentions("credit balance is too low")
        {
            E::ProviderQuotaExhausted
        } else if object.says(&["context_length_exceeded", "string_above_max_length"])
            || object.mentions("prompt is too long")
        {
            E::ContextLengthExceeded
        } else if object.says(&["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"]) {
            E::ContentFiltered
        } else {
            match status {
                Some(401 | 403) => E::ProviderAuthFailed,
                Some(402) => E::ProviderQuotaExhausted,
                Some(404) if object.says(&["model_not_found", "not_found_error"]) => E::ModelNotFound,
                // Larger than a whole minute's allowance: no waiting helps, and it says nothing about anybody else.
                Some(429) if object.message.as_deref().is_some_and(|said| said.contains("Request too large")) => {
                    E::ProviderRejected
                }
                Some(429) => E::ProviderRateLimited,
                Some(500..) => E::ProviderUnavailable,
                Some(400..) => E::ProviderRejected,
                // A success without a body to read, or a redirect, which is not followed.
                Some(_) => E::ProviderInvalidResponse,
                None => in_stream(object),
            }
        };
    let mut failure = Failure::new(code, detail);
    failure.overloaded |= matches!(status, Some(503 | 529)) || object.says(&["overloaded_error"]);
    match status {
        // Other 5xx (501, 505 …) say that asking again is useless; another provider may know better.
        Some(status @ 500..) if !matches!(status, 500 | 502 | 503 | 504 | 529) => failure.final_here(),
        Some(_) | None => failure,
    }
}

/// By name, for errors inside a stream, which carry no status.
fn in_stream(object: &ErrorObject) -> ErrorCode {
    use ErrorCode as E;
    if object.says(&["rate_limit_exceeded", "rate_limit_error", "rate_limited", "requests", "tokens"]) {
        E::ProviderRateLimited
    } else if object.says(&["invalid_api_key", "authentication_error", "permission_error"]) {
        E::ProviderAuthFailed
    } else if object.says(&["invalid_request_error", "bad_request"]) {
        E::ProviderRejected
    } else {
        E::ProviderUnavailable
    }
}

/// The provider's message, cut and without the key.
fn words_of<'a>(object: &'a ErrorObject, key: Option<&str>) -> Cow<'a, str> {
    let message = object.message.as_deref().unwrap_or_default().trim();
    let message = match key {
        // Some providers quote the key that they refuse.
        Some(key) if !key.is_empty() && message.contains(key) => Cow::Owned(message.replace(key, "[key]")),
        Some(_) | None => Cow::Borrowed(message),
    };
    match message.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &message[..end])),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: &str, kind: &str) -> Vec<u8> {
        format!(r#"{{"error":{{"message":"no","type":"{kind}","param":null,"code":"{code}"}}}}"#).into_bytes()
    }

    #[test]
    fn each_status_has_its_code() {
        use ErrorCode as E;
        for (status, code, kind, expected, retry, fault) in [
            (400, "", "invalid_request_error", E::ProviderRejected, false, Fault::Tenant),
            (400, "context_length_exceeded", "x", E::ContextLengthExceeded, false, Fault::Tenant),
            (400, "content_filter", "x", E::ContentFiltered, false, Fault::Caller),
            (401, "invalid_api_key", "x", E::ProviderAuthFailed, false, Fault::Server),
            (402, "", "x", E::ProviderQuotaExhausted, false, Fault::Server),
            (403, "", "x", E::ProviderAuthFailed, false, Fault::Server),
            (404, "", "x", E::ProviderRejected, false, Fault::Tenant),
            (404, "model_not_found", "x", E::ModelNotFound, false, Fault::Tenant),
            (413, "", "x", E::ProviderRejected, false, Fault::Tenant),
            (422, "", "x", E::ProviderRejected, false, Fault::Tenant),
            (429, "rate_limit_exceeded", "tokens", E::ProviderRateLimited, true, Fault::Provider),
            (429, "insufficient_quota", "insufficient_quota", E::ProviderQuotaExhausted, false, Fault::Server),
            (500, "", "server_error", E::ProviderUnavailable, true, Fault::Provider),
            (501, "", "x", E::ProviderUnavailable, false, Fault::Provider),
            (503, "", "x", E::ProviderUnavailable, true, Fault::Provider),
            (529, "overloaded", "x", E::ProviderUnavailable, true, Fault::Provider),
            (302, "", "x", E::ProviderInvalidResponse, true, Fault::Provider),
        ] {
            let failure = from_status(status, &body(code, kind), None);
            assert_eq!(failure.problem.code, expected, "{status} {code}");
            assert_eq!(failure.retry, retry, "{status} {code}");
            assert_eq!(failure.problem.fault, fault, "{status} {code}");
            assert_eq!(failure.problem.extra["provider_status"], status);
        }
    }

    #[test]
    fn being_asked_too_much_is_told_from_being_down_and_from_asking_too_much_at_once() {
        for (status, message, overloaded) in [
            (429, "Rate limit reached", true),
            (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 60000", false),
            (503, "try later", true),
            (529, "Overloaded", true),
            (500, "oops", false),
            (502, "bad gateway", false),
        ] {
            let body = format!(r#"{{"error":{{"message":"{message}","type":"x","code":"rate_limit_exceeded"}}}}"#);
            let failure = from_status(status, body.as_bytes(), None);
            assert_eq!(failure.overloaded, overloaded, "{status} {message}");
            assert_eq!(failure.retry, status >= 500 || overloaded, "{status} {message}");
        }
        assert!(from_stream(br#"{"type":"overloaded_error","message":"Overloaded"}"#, None).overloaded);
        assert!(!from_stream(br#"{"type":"server_error","message":"x"}"#, None).overloaded);
    }

    #[test]
    fn errors_in_a_stream_are_named_as_well_as_they_can_be() {
        use ErrorCode as E;
        for (error, expected) in [
            (r#"{"message":"a","code":"rate_limit_exceeded"}"#, E::ProviderRateLimited),
            (r#"{"message":"a","code":429}"#, E::ProviderRateLimited),
            (r#"{"message":"a","code":"502"}"#, E::ProviderUnavailable),
            (r#"{"message":"a","type":"server_error","code":null}"#, E::ProviderUnavailable),
            (r#"{"message":"a","type":"invalid_request_error"}"#, E::ProviderRejected),
            (r#"{"message":"a","code":"insufficient_quota"}"#, E::ProviderQuotaExhausted),
            (r#"{"code":{"a":1},"type":[]}"#, E::ProviderUnavailable),
            (r#""just words""#, E::ProviderUnavailable),
            ("17", E::ProviderUnavailable),
        ] {
            assert_eq!(from_stream(error.as_bytes(), None).problem.code, expected, "{error}");
        }
    }

    #[test]
    fn the_providers_words_are_cut_and_never_hold_the_key() {
        let long = format!(r#"{{"error":{{"message":"Incorrect key sk-secret. {}"}}}}"#, "ä".repeat(600));
        let failure = from_status(401, long.as_bytes(), Some("sk-secret"));
        let detail = failure.problem.detail.expect("it has one");
        assert!(detail.starts_with("status 401: Incorrect key [key]."), "{detail}");
        assert!(detail.chars().count() <= MAX_DETAIL_CHARS + 20);
        let html = from_status(502, b"<html>bad \xFF gateway</html>", None);
        assert!(html.problem.message().contains("<html>bad"));
        let text = from_status(500, br#"{"error":"oops"}"#, None);
        assert_eq!(text.problem.message(), "status 500: oops");
        assert_eq!(from_status(500, b"", None).problem.message(), "status 500");
    }
}
