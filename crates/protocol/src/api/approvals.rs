//! Approvals: what a person is asked, and what was decided.

use serde::{Deserialize, Serialize};

use super::{Decider, check_words, holds_nul, stored_len};
use crate::event::{Actor, Visibility};
use crate::{ApprovalId, CallId, Problem, RunId, ThreadId, Timestamp, UserId};

/// The longest comment, in characters.
pub const MAX_COMMENT: usize = 4096;

words! {
    /// What is asked.
    ApprovalKind {
        /// Whether a call is carried out.
        Tool,
        /// What is to be done about a call of which nobody knows whether it had its effect.
        UnknownOutcome,
    }
    /// Where an approval stands.
    ApprovalStatus {
        /// Nobody has decided.
        Pending,
        /// The call is carried out.
        Approved,
        /// It is not, and the model is told.
        Denied,
        /// The run was cancelled.
        Cancelled,
        /// Nobody has decided in time.
        Expired,
    }
    /// What is decided.
    DecisionKind {
        /// The call is carried out. Of an unknown outcome: it is done again.
        Approved,
        /// It is not carried out; the model sees the comment. Of an unknown outcome: it is not done again.
        Denied,
        /// The run ends.
        Cancelled,
    }
    /// For what a decision holds.
    Remember {
        /// For this call.
        Call,
        /// For later calls of the same tool in the thread too.
        Thread,
    }
}

impl ApprovalStatus {
    /// As JSON and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Every status.
    pub const ALL: [&'static str; 5] = ["pending", "approved", "denied", "cancelled", "expired"];
}

/// A question to a person, and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Always `approval`.
    pub object: String,
    /// What is asked.
    pub kind: ApprovalKind,
    /// The run that waits.
    pub run: RunId,
    /// Its thread.
    pub thread: ThreadId,
    /// Its user.
    pub user: UserId,
    /// The call concerned.
    pub call: CallId,
    /// The tool.
    pub name: String,
    /// What it would be called with; `null` for users who may not see it.
    pub args: Option<serde_json::Value>,
    /// `sha256:` and the digest of the arguments that are carried out, in canonical JSON; empty for users who may not see
    /// arguments.
    pub args_hash: String,
    /// The question in words.
    pub message: String,
    /// JSON Schema that edited arguments have to satisfy; empty for users who may not see arguments.
    pub schema: serde_json::Value,
    /// Who may decide.
    pub deciders: Vec<Decider>,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// What it is called with instead.
    pub edited_args: Option<serde_json::Value>,
    /// What the one who decided said.
    pub comment: Option<String>,
    /// For what the decision holds; `null` until there is one.
    pub remember: Option<Remember>,
    /// Who decided.
    pub by: Option<Actor>,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

impl Approval {
    /// As an end user may see it.
    pub fn for_user(mut self, visible: Visibility) -> Self {
        if !visible.tool_args {
            self.schema = serde_json::json!({});
            // Of few possible arguments it would tell which.
            self.args_hash = String::new();
        }
        self.args = self.args.filter(|_| visible.tool_args);
        self.edited_args = self.edited_args.filter(|_| visible.tool_args);
        self
    }
}

fn call() -> Remember {
    Remember::Call
}

fn call_unless_said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Remember, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(Remember::Call))
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What.
    pub decision: DecisionKind,
    /// With `approved`: arguments to call it with instead. They have to satisfy the approval's `schema`.
    #[serde(default)]
    pub edited_args: Option<serde_json::Value>,
    /// For the record, and with `denied` for the model; at most 4096 characters.
    #[serde(default)]
    pub comment: Option<String>,
    /// For what it holds; `thread` only with `approved`, unedited. `null` = `call`.
    #[serde(default = "call", deserialize_with = "call_unless_said")]
    pub remember: Remember,
    /// Of an unknown outcome, with `denied`: what is known to have happened.
    #[serde(default)]
    pub output: Option<serde_json::Value>,
}

impl Decision {
    /// Whether its parts go together.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self, kind: ApprovalKind) -> Result<(), Problem> {
        let approved = self.decision == DecisionKind::Approved;
        let unknown = kind == ApprovalKind::UnknownOutcome;
        if let Some(comment) = &self.comment {
            check_words("/comment", comment, MAX_COMMENT)?;
        }
        if self.edited_args.is_some() && (!approved || unknown) {
            return Err(Problem::invalid("/edited_args", "goes only with the approval of a call"));
        }
        if self.remember == Remember::Thread && (!approved || unknown || self.edited_args.is_some()) {
            return Err(Problem::invalid("/remember", "thread goes only with the approval of a call as it is"));
        }
        if self.output.is_some() && (!unknown || self.decision != DecisionKind::Denied) {
            return Err(Problem::invalid("/output", "goes only with an unknown outcome that is not tried again"));
        }
        let size = self.output.as_ref().map_or(0, |output| output.to_string().len());
        if size > super::MAX_OUTPUT_BYTES || self.output.as_ref().is_some_and(holds_nul) {
            return Err(Problem::invalid("/output", "must be at most 131072 bytes of JSON, without NUL characters"));
        }
        match &self.edited_args {
            Some(args) if !args.is_object() || holds_nul(args) || stored_len(args) > super::MAX_OUTPUT_BYTES => {
                let words = "must be an object of at most 131072 bytes of JSON, without NUL characters";
                Err(Problem::invalid("/edited_args", words))
            }
            _ => Ok(()),
        }
    }
}
