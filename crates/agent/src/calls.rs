//! The calls that a model makes, as they become rows.
//!
//! Owns which of them are carried out, which wait for a person, and which are refused at once: [`verdict`] is the one place
//! that decides. A call is a row before readers can see it whole, and so it can be answered or decided from then on.

use std::sync::Arc;

use headwater_guard::Guard;
use headwater_protocol::api::{Decider, Policy, ResponseFormat, Tool, decide};
use headwater_protocol::event::EventBody;
use headwater_protocol::fold::{Fold, OpenCall};
use headwater_protocol::{ApprovalId, CallId, ErrorCode, Problem, Timestamp};
use headwater_store::commit::{ApprovalWrite, CallWrite, StepWrite, Writes};

use crate::execute::RunState;
use crate::schema;
use crate::step::{Called, word};
use crate::template;
use crate::toolbox::{Ability, Means};

/// Notes the calls of a message that is whole: what each waits for, or why it is refused.
pub(crate) fn begin(
    state: &mut RunState<'_>,
    step: i32,
    calls: &[OpenCall],
    events: &mut Vec<EventBody>,
    writes: &mut Writes,
) {
    let now = Timestamp::now();
    for (position, call) in calls.iter().enumerate() {
        state.tool_calls += 1;
        let tool = state.tools.find(&call.name).cloned();
        // What is always the same the model does not set, and nobody is asked about it.
        let args = match (&tool, &call.args) {
            (Some(tool), Some(args)) => Some(tool.without_defaults(args)),
            (_, args) => args.clone(),
        };
        let call = &OpenCall { args: args.clone(), ..call.clone() };
        let ttl_ms = tool.as_ref().and_then(|tool| match tool.means {
            Means::Client { ttl_ms } => Some(ttl_ms),
            Means::Http(_) | Means::Mcp { .. } | Means::Agent { .. } | Means::Memory(_) | Means::Time => None,
        });
        let mut row = CallWrite {
            call_id: call.call.uuid(),
            user_id: state.run.user.uuid(),
            step,
            position: position as i32,
            name: call.name.clone(),
            kind: tool.as_ref().map(|tool| tool.kind()),
            effect: tool.as_ref().map(|tool| word(tool.effect)),
            args: args.clone(),
            status: "pending",
            output: None,
            error: None,
            ttl_ms,
            approval_id: None,
            expires_at: None,
            created_at: now.0,
            answered_at: None,
        };
        match verdict(state, tool.as_ref(), call) {
            Verdict::Permitted => match ttl_ms {
                Some(ttl_ms) => row.expires_at = Some(now.plus_ms(ttl_ms).0),
                None => row.status = "ready",
            },
            Verdict::Asked(tool, args) => {
                row.status = "asked";
                let question =
                    Question { kind: "tool", call: call.call, name: &call.name, args, schema: &tool.parameters };
                let (event, approval) = ask(state, &question, now);
                row.approval_id = Some(approval.approval_id);
                row.expires_at = Some(approval.expires_at);
                events.push(event);
                writes.approvals.push(approval);
            }
            Verdict::Denied => {
                row.status = "denied";
                events.push(EventBody::ToolDenied { call: call.call, by: None, comment: None });
            }
            Verdict::Failed(error) => {
                row.status = "failed";
                row.error = serde_json::to_value(&error).ok();
                events.push(EventBody::ToolFailed { call: call.call, error, duration_ms: 0 });
            }
        }
        row.answered_at = matches!(row.status, "denied" | "failed").then_some(now.0);
        writes.calls.push(row);
    }
}

/// What is done about a call.
enum Verdict<'a> {
    /// It is carried out.
    Permitted,
    /// A person is asked whether it is, with these arguments.
    Asked(&'a Ability, &'a serde_json::Value),
    /// The agent's policy says no.
    Denied,
    /// It cannot be.
    Failed(Problem),
}

/// The one place that decides what is done about a call.
fn verdict<'a>(state: &RunState<'_>, tool: Option<&'a Arc<Ability>>, call: &'a OpenCall) -> Verdict<'a> {
    let failed = |code, words: String| Verdict::Failed(Problem::new(code, words));
    let Some(tool) = tool else {
        return failed(ErrorCode::ToolNotFound, format!("there is no tool named {}", call.name));
    };
    if !tool.is_offered() {
        return Verdict::Denied;
    }
    let most = state.config.limits.max_tool_calls;
    if i64::from(state.tool_calls) > i64::from(most) {
        return failed(ErrorCode::ToolLimit, format!("the run may call {most} tools, and has"));
    }
    let Some(args) = &call.args else {
        return failed(ErrorCode::ToolInvalidArgs, "the arguments are not a JSON object".to_owned());
    };
    if let Some(words) = schema::wrong_with(&tool.parameters, args, call.text.len()) {
        return failed(ErrorCode::ToolInvalidArgs, words);
    }
    // Rules see what is called, and not only what the model has given.
    match decide(tool.policy, &tool.rules, &tool.with_defaults(args), state.remembered.contains(&call.name)) {
        Policy::Auto => Verdict::Permitted,
        Policy::Deny => Verdict::Denied,
        Policy::Ask if state.config.approvals.deciders.is_empty() => Verdict::Denied,
        Policy::Ask => Verdict::Asked(tool, args),
    }
}

/// What a person is asked.
pub(crate) struct Question<'a> {
    pub(crate) kind: &'static str,
    pub(crate) call: CallId,
    pub(crate) name: &'a str,
    pub(crate) args: &'a serde_json::Value,
    pub(crate) schema: &'a serde_json::Value,
}

/// Room for arguments and schema in the event of a question, in bytes of their JSON.
const ROOM: usize = headwater_protocol::event::MAX_EVENT_BYTES - 16 * 1024;

/// Asks it: the event, and the row.
pub(crate) fn ask(state: &RunState<'_>, question: &Question<'_>, now: Timestamp) -> (EventBody, ApprovalWrite) {
    let Question { kind, call, name, args, schema } = *question;
    let approval = ApprovalId::new();
    let settings = &state.config.approvals;
    let expires_at = now.plus_ms(settings.ttl_ms);
    let deciders: Vec<Decider> = settings.deciders.clone();
    let message = match kind {
        "tool" => format!("May {name} be called?"),
        _ => format!("Nobody knows whether {name} was called to its end. Is it to be called again?"),
    };
    let event = EventBody::ApprovalRequested {
        approval,
        kind: serde_json::from_value(kind.into()).expect("one of the two"),
        call,
        name: name.to_owned(),
        args: Some(args.clone()),
        message: message.clone(),
        // Beside large arguments there is no room for a large schema in an event; the approval itself has it.
        schema: if args.to_string().len() + schema.to_string().len() > ROOM {
            serde_json::json!({})
        } else {
            schema.clone()
        },
        deciders: deciders.clone(),
        expires_at,
    };
    let write = ApprovalWrite {
        approval_id: approval.uuid(),
        thread_id: state.run.thread.uuid(),
        user_id: state.run.user.uuid(),
        agent_id: state.run.agent.uuid(),
        call_id: call.uuid(),
        kind,
        name: name.to_owned(),
        args: args.clone(),
        args_hash: args_hash(args),
        message,
        schema: schema.clone(),
        deciders,
        expires_at: expires_at.0,
        created_at: now.0,
    };
    (event, write)
}

/// `sha256:` and the digest of arguments, the same for all ways to write the same JSON: members in order, no space, and
/// numbers as the database gives them back.
pub fn args_hash(args: &serde_json::Value) -> String {
    fn plain(value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Array(items) => items.iter().map(plain).collect(),
            Value::Object(members) => {
                let sorted: std::collections::BTreeMap<_, _> = members.iter().collect();
                sorted.into_iter().map(|(name, value)| (name.clone(), plain(value))).collect()
            }
            // Postgres writes a whole number without a point or an exponent, and knows no negative zero.
            Value::Number(number) if number.is_f64() => match number.as_f64() {
                Some(float) if float.fract() == 0.0 && float.abs() < 1.8e19 => {
                    let whole = float as i128;
                    i64::try_from(whole).map_or_else(|_| (whole as u64).into(), Value::from)
                }
                _ => value.clone(),
            },
            other => other.clone(),
        }
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, plain(args).to_string().as_bytes());
    digest.as_ref().iter().fold("sha256:".to_owned(), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to memory");
        text
    })
}

/// What is wrong with arguments that a person has edited, by the schema that the approval shows.
///
/// # Errors
/// In words.
pub fn check_args(schema: &serde_json::Value, args: &serde_json::Value) -> Result<(), String> {
    schema::wrong_with(schema, args, args.to_string().len()).map_or(Ok(()), Err)
}

/// Whether these tools can be used: their schemas, their templates, and where they lead.
///
/// # Errors
/// `invalid_schema`, `url_not_allowed` or `invalid_value`, and what is wrong with which.
pub fn check_tools(tools: &[Tool], guard: &Guard) -> Result<(), Problem> {
    for (i, tool) in tools.iter().enumerate() {
        for (name, written) in tool.schemas() {
            if let Err(words) = schema::check(written) {
                let tool = tool.names().join(", ");
                return Err(Problem::new(ErrorCode::InvalidSchema, format!("the {name} of {tool}: {words}"))
                    .with("param", format!("/tools/{i}/{name}")));
            }
        }
        if let Tool::Http(tool) = tool {
            let at = |place: &str| format!("/tools/{i}/request/{place}");
            let origin =
                template::check(&tool.request).map_err(|(place, words)| Problem::invalid(at(&place), words))?;
            if let Err(refused) = guard.check(&origin) {
                return Err(Problem::new(ErrorCode::UrlNotAllowed, refused.to_string()).with("param", at("url")));
            }
        }
    }
    Ok(())
}

/// Whether an answer can be held to this.
///
/// # Errors
/// `invalid_schema`, and what is wrong with it.
pub fn check_format(format: &ResponseFormat) -> Result<(), Problem> {
    match format {
        ResponseFormat::Text {} => Ok(()),
        ResponseFormat::JsonSchema { schema, .. } => schema::check(schema).map_err(|words| {
            Problem::new(ErrorCode::InvalidSchema, format!("the schema of the answer: {words}"))
                .with("param", "/response_format/schema")
        }),
    }
}

/// How a step with calls is remembered by whoever goes on with it.
pub(crate) fn recall(state: &RunState<'_>, fold: &Fold) -> Called {
    let unresolved: Vec<ApprovalId> = fold.approvals.iter().map(|(approval, _)| *approval).collect();
    let told = fold.calls.iter().filter(|call| call.ended).map(|call| call.call).collect();
    let (model_call, model) = fold.step_call.clone().unwrap_or_default();
    Called {
        step: StepWrite {
            step: fold.open_step.unwrap_or(1),
            user_id: state.run.user.uuid(),
            attempt: state.run.attempt,
            message_id: fold.messages.last().map(|message| message.uuid()).unwrap_or_default(),
            model_call,
            model,
            finish_reason: "tool_calls".into(),
            seq: 0,
            finished_at: Timestamp::now().0,
        },
        usage: fold.step_usage,
        cost: fold.step_cost(),
        told,
        unresolved,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_hash_is_of_the_values_and_not_of_their_spelling() {
        let hash = |text: &str| args_hash(&serde_json::from_str::<Value>(text).expect("JSON"));
        assert_eq!(hash(r#"{"a":1,"b":[1.50,-0.0]}"#), hash(r#"{ "b": [1.5, 0.0], "a": 1 }"#));
        assert_eq!(
            hash(r#"{"a":1.2e16,"b":1e19,"c":-2.0}"#),
            hash(r#"{"a":12000000000000000,"b":10000000000000000000,"c":-2}"#)
        );
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":"1"}"#));
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":2}"#));
        assert_eq!(args_hash(&json!({})), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
