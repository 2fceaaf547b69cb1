//! Error codes and `application/problem+json` (RFC 9457).
//!
//! The list of codes is closed per release and code names are never reused. A code carries its HTTP status, whether
//! the same request may succeed later unchanged, and whose fault it is; nothing else in the code base decides these.

use serde::{Deserialize, Serialize};

/// Who has to act for the error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This request.
    Caller,
    /// The tenant's configuration, keys or money.
    Tenant,
    /// A model provider.
    Provider,
    /// A tool.
    Tool,
    /// Headwater itself.
    Server,
}

macro_rules! codes {
    ($($name:ident $text:literal $status:literal $retry:literal $fault:ident $title:literal;)*) => {
        /// A stable name for what went wrong. Clients decide by this, never by text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $(
                #[doc = $title]
                #[serde(rename = $text)]
                $name,
            )*
        }

        impl ErrorCode {
            /// Every code, in the order of the alphabet.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// The code as JSON writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// The HTTP status when a request ends with this code. Codes that only occur inside runs and on tool
            /// calls have the status an answer would have if it were one.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* }
            }

            /// Whether the same request may succeed later, unchanged.
            pub const fn is_retryable(self) -> bool {
                match self { $(ErrorCode::$name => $retry,)* }
            }

            /// Whose fault it is.
            pub const fn fault(self) -> Fault {
                match self { $(ErrorCode::$name => Fault::$fault,)* }
            }

            /// A few words for a person.
            pub const fn title(self) -> &'static str {
                match self { $(ErrorCode::$name => $title,)* }
            }
        }
    };
}

impl utoipa::PartialSchema for ErrorCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::api::words_schema(Self::ALL.iter().map(|code| code.as_str()), "A stable name for what went wrong.")
    }
}

impl utoipa::ToSchema for ErrorCode {}

codes! {
    AgentNotFound "agent_not_found" 404 false Caller "Agent not found";
    AlreadyDecided "already_decided" 409 false Caller "Already decided";
    AlreadyExists "already_exists" 409 false Caller "Already exists";
    AlreadySubmitted "already_submitted" 409 false Caller "Already submitted";
    ApprovalExpired "approval_expired" 410 false Caller "Approval expired";
    AttemptsExhausted "attempts_exhausted" 500 true Server "Attempts exhausted";
    BodyTooLarge "body_too_large" 413 false Caller "Body too large";
    BudgetExhausted "budget_exhausted" 402 false Tenant "Budget exhausted";
    CapacityExceeded "capacity_exceeded" 429 true Server "Capacity exceeded";
    ContentFiltered "content_filtered" 422 false Caller "Content filtered";
    ContextLengthExceeded "context_length_exceeded" 422 false Tenant "Context length exceeded";
    CursorAhead "cursor_ahead" 410 false Caller "Cursor is ahead of the log";
    Draining "draining" 503 true Server "Shutting down";
    Forbidden "forbidden" 403 false Caller "Forbidden";
    HeadersTooLarge "headers_too_large" 431 false Caller "Headers too large";
    HistoryTrimmed "history_trimmed" 410 false Caller "History trimmed";
    IdempotencyInProgress "idempotency_in_progress" 409 true Caller "First request still in progress";
    IdempotencyMismatch "idempotency_mismatch" 409 false Caller "Idempotency key was used for another request";
    InUse "in_use" 409 false Caller "Still in use";
    InputExpired "input_expired" 410 false Caller "Input expired";
    Internal "internal" 500 true Server "Internal error";
    InvalidCursor "invalid_cursor" 400 false Caller "Invalid cursor";
    InvalidJson "invalid_json" 400 false Caller "Invalid JSON";
    InvalidOutput "invalid_output" 502 true Provider "Invalid output";
    InvalidRequest "invalid_request" 400 false Caller "Invalid request";
    InvalidSchema "invalid_schema" 422 false Tenant "Invalid schema";
    InvalidValue "invalid_value" 422 false Caller "Invalid value";
    MethodNotAllowed "method_not_allowed" 405 false Caller "Method not allowed";
    ModelNotFound "model_not_found" 422 false Tenant "Model not found";
    NoApprover "no_approver" 422 false Tenant "Nobody may approve";
    NotAcceptable "not_acceptable" 406 false Caller "Not acceptable";
    NotFound "not_found" 404 false Caller "Not found";
    OriginNotAllowed "origin_not_allowed" 403 false Caller "Origin not allowed";
    Overloaded "overloaded" 503 true Server "Overloaded";
    OverrideNotAllowed "override_not_allowed" 403 false Caller "Override not allowed";
    PriceUnknown "price_unknown" 422 false Tenant "Price unknown";
    ProviderAuthFailed "provider_auth_failed" 502 false Tenant "The provider refused the key";
    ProviderInvalidResponse "provider_invalid_response" 502 true Provider "The provider's answer makes no sense";
    ProviderQuotaExhausted "provider_quota_exhausted" 502 false Tenant "The provider's quota is exhausted";
    ProviderRateLimited "provider_rate_limited" 502 true Provider "Rate limited by the provider";
    ProviderRejected "provider_rejected" 502 false Tenant "The provider rejected the request";
    ProviderTimeout "provider_timeout" 504 true Provider "The provider took too long";
    ProviderTruncated "provider_truncated" 502 true Provider "The provider's stream ended early";
    ProviderUnavailable "provider_unavailable" 502 true Provider "The provider is unavailable";
    QueueTimeout "queue_timeout" 503 true Server "Waited too long for a place";
    RangeNotSatisfiable "range_not_satisfiable" 416 false Caller "Range not satisfiable";
    RateLimited "rate_limited" 429 true Caller "Too many requests";
    ReplicaLost "replica_lost" 500 true Server "The process that ran it died";
    RequestTimeout "request_timeout" 408 true Caller "Request timed out";
    RunFinished "run_finished" 409 false Caller "Run is finished";
    RunNotSuspended "run_not_suspended" 409 false Caller "Run is not suspended";
    RunTimeout "run_timeout" 504 false Tenant "Run took too long";
    TenantSuspended "tenant_suspended" 403 false Tenant "Tenant is suspended";
    ThreadBusy "thread_busy" 409 true Caller "Thread is busy";
    TokenExpired "token_expired" 401 false Caller "Token expired";
    TooManyRuns "too_many_runs" 429 true Tenant "Too many runs";
    TooManyStreams "too_many_streams" 429 true Tenant "Too many open streams";
    ToolError "tool_error" 502 false Tool "The tool failed";
    ToolInvalidArgs "tool_invalid_args" 422 false Provider "Invalid tool arguments";
    ToolInvalidOutput "tool_invalid_output" 502 false Tool "Invalid tool output";
    ToolLimit "tool_limit" 422 false Tenant "Tool limit reached";
    ToolNotFound "tool_not_found" 404 false Provider "Tool not found";
    ToolOutcomeUnknown "tool_outcome_unknown" 500 false Tool "Outcome of the tool call is unknown";
    ToolTimeout "tool_timeout" 504 true Tool "The tool took too long";
    ToolUnreachable "tool_unreachable" 502 true Tool "The tool cannot be reached";
    Unauthenticated "unauthenticated" 401 false Caller "Not authenticated";
    Unavailable "unavailable" 503 true Server "Unavailable";
    UnknownField "unknown_field" 422 false Caller "Unknown field";
    UnsupportedByModel "unsupported_by_model" 422 false Tenant "Not supported by the model";
    UnsupportedMediaType "unsupported_media_type" 415 false Caller "Unsupported media type";
    UrlNotAllowed "url_not_allowed" 422 false Tenant "URL not allowed";
    UserBlocked "user_blocked" 403 false Tenant "User is blocked";
    UserRequired "user_required" 400 false Caller "A user is required";
    VersionConflict "version_conflict" 412 false Caller "Version conflict";
}

/// One of several errors in a request body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or `header:NAME`, or `query:NAME`.
    pub param: String,
    /// `invalid_value` or `unknown_field`, mostly.
    pub code: ErrorCode,
    /// What is wrong, for a person.
    pub detail: String,
}

/// The body of every error: `application/problem+json`, and `error` in runs, tool results and events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    pub r#type: String,
    /// The code in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened here. `null` for readers who may not see a provider's or server's own words.
    pub detail: Option<String>,
    /// The stable name.
    pub code: ErrorCode,
    /// Whether the same request may succeed later, unchanged.
    pub retryable: bool,
    /// Who has to act.
    pub fault: Fault,
    /// The request this answers; `null` inside runs.
    pub request_id: Option<crate::RequestId>,
    /// Each field that is wrong; empty where there is no list.
    pub errors: Vec<FieldError>,
    /// Further members by code, such as `existing` or `phase`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem with this code and an explanation for a person.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("/docs/errors#{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: Some(detail.into()),
            code,
            retryable: code.is_retryable(),
            fault: code.fault(),
            request_id: None,
            errors: Vec::new(),
            extra: serde_json::Map::new(),
        }
    }

    /// `invalid_value` for one field.
    pub fn invalid(param: impl Into<String>, detail: impl Into<String>) -> Self {
        let (param, detail) = (param.into(), detail.into());
        let mut problem = Self::new(ErrorCode::InvalidValue, format!("{param}: {detail}"));
        problem.errors.push(FieldError { param, code: ErrorCode::InvalidValue, detail });
        problem
    }

    /// The same, of fields that stand below this one.
    #[must_use]
    pub fn below(mut self, param: &str) -> Self {
        for error in &mut self.errors {
            error.param.insert_str(0, param);
        }
        self.detail = self.detail.map(|detail| format!("{param}{detail}"));
        self
    }

    /// Adds a further member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Sets whose fault it is, where the code alone does not tell (a platform key that the provider refused).
    #[must_use]
    pub fn blame(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// The detail, or the title where it is hidden.
    pub fn message(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.title)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_name_themselves() {
        let names: Vec<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert!(names.is_sorted(), "alphabetised");
        for code in ErrorCode::ALL {
            let json = serde_json::to_value(code).expect("serialises");
            assert_eq!(json, code.as_str());
        }
    }
}
