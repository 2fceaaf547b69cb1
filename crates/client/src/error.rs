//! Everything that can go wrong, and how an error's body is read.
//!
//! Promises that an error body of a later release still reads: an unknown `code` is treated by its HTTP status and
//! its `retryable`, and kept as the extra member `unknown_code`.

use headwater_protocol::{ErrorCode, Fault, Problem};

use crate::auth::BoxError;

/// Why a call or a stream failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Headwater refused.
    #[error("{problem} (status {status})")]
    Api {
        /// The HTTP status.
        status: u16,
        /// What Headwater says about it.
        problem: Box<Problem>,
        /// The `Request-Id` of the answer.
        request_id: Option<String>,
    },
    /// Something in front of Headwater answered: there was no `Request-Id`.
    #[error("an edge in front of headwater answered with status {status}")]
    Edge {
        /// The HTTP status.
        status: u16,
    },
    /// No answer, or half of one. The URL is cut out of the message.
    #[error("no complete answer from headwater")]
    Transport(#[source] reqwest::Error),
    /// The answer's head did not come in time, or an open stream fell silent.
    #[error("timed out waiting for {0}")]
    Timeout(&'static str),
    /// A stream's connection ended before its run did.
    #[error("the connection ended before the run did")]
    Cut,
    /// What came is not what the API promises.
    #[error("{what} cannot be read")]
    Decode {
        /// What should have been there.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// Events are missing, and reconnecting did not bring them.
    #[error("events are missing: expected seq {expected}, got {got}")]
    StreamGap {
        /// The next event of a dense log.
        expected: u64,
        /// What came instead.
        got: u64,
    },
    /// Too many reconnects in a row brought nothing new.
    #[error("gave up after {attempts} reconnects without progress")]
    GaveUp {
        /// Reconnects in a row.
        attempts: u32,
        /// Why the last one failed.
        #[source]
        last: Box<Error>,
    },
    /// The server ended a stream because its credential did (`stream.closing{auth}`), and there is no token provider
    /// to ask for another one.
    #[error("the credential of this stream has ended")]
    CredentialEnded,
    /// The token provider failed.
    #[error("no user token")]
    Token(#[source] BoxError),
    /// A value that cannot be sent: a base URL, a credential, a user, a key, a path segment.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// The code, where Headwater gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        self.problem().map(|problem| problem.code)
    }

    /// The whole problem, where Headwater gave one; also that of the last attempt of [`Error::GaveUp`].
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Api { problem, .. } => Some(problem),
            Self::GaveUp { last, .. } => last.problem(),
            Self::Edge { .. }
            | Self::Transport(_)
            | Self::Timeout(_)
            | Self::Cut
            | Self::Decode { .. }
            | Self::StreamGap { .. }
            | Self::CredentialEnded
            | Self::Token(_)
            | Self::Config(_) => None,
        }
    }

    pub(crate) fn decode(what: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Decode { what, source: source.into() }
    }

    pub(crate) fn transport(error: reqwest::Error) -> Self {
        // A URL may hold a ticket.
        Self::Transport(error.without_url())
    }
}

/// Reads the body of an answer that is an error of ours.
pub(crate) fn read_problem(status: u16, body: &[u8]) -> Problem {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return problem;
    }
    let code = code_for(status);
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(body) else {
        let mut problem = Problem::new(code, String::from_utf8_lossy(body).chars().take(256).collect::<String>());
        problem.status = status;
        return problem;
    };
    let text = |name: &str| members.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let mut problem = Problem::new(code, "");
    problem.status = status;
    problem.detail = text("detail");
    problem.title = text("title").unwrap_or(problem.title);
    problem.r#type = text("type").unwrap_or(problem.r#type);
    problem.retryable = members.get("retryable").and_then(serde_json::Value::as_bool).unwrap_or(problem.retryable);
    problem.fault =
        members.get("fault").and_then(|f| serde_json::from_value::<Fault>(f.clone()).ok()).unwrap_or(problem.fault);
    problem.request_id = text("request_id").and_then(|id| id.parse().ok());
    match text("code") {
        Some(unknown) => problem.with("unknown_code", unknown),
        None => problem,
    }
}

/// The plainest code of a status, for codes of later releases.
fn code_for(status: u16) -> ErrorCode {
    match status {
        401 => ErrorCode::Unauthenticated,
        402 => ErrorCode::BudgetExhausted,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        406 => ErrorCode::NotAcceptable,
        408 => ErrorCode::RequestTimeout,
        412 => ErrorCode::VersionConflict,
        413 => ErrorCode::BodyTooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        422 => ErrorCode::InvalidValue,
        429 => ErrorCode::RateLimited,
        431 => ErrorCode::HeadersTooLarge,
        503 => ErrorCode::Unavailable,
        500.. => ErrorCode::Internal,
        _ => ErrorCode::InvalidRequest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_problems_read_whole() {
        let problem = Problem::new(ErrorCode::ThreadBusy, "busy").with("active_run", "run_x");
        let body = serde_json::to_vec(&problem).expect("serialises");
        assert_eq!(read_problem(409, &body), problem);
    }

    #[test]
    fn a_code_of_a_later_release_goes_by_status_and_retryable() {
        let body = br#"{"type":"/docs/errors#moon_phase","title":"Moon","status":409,"detail":"wait","code":"moon_phase","retryable":true,"fault":"moon","request_id":null,"errors":[]}"#;
        let problem = read_problem(409, body);
        assert_eq!((problem.status, problem.retryable, problem.code), (409, true, ErrorCode::InvalidRequest));
        assert_eq!((problem.title.as_str(), problem.detail.as_deref()), ("Moon", Some("wait")));
        assert_eq!(problem.extra["unknown_code"], "moon_phase");
    }

    #[test]
    fn a_body_that_is_no_json_is_the_detail() {
        let problem = read_problem(503, b"down");
        assert_eq!((problem.code, problem.detail.as_deref()), (ErrorCode::Unavailable, Some("down")));
    }
}
