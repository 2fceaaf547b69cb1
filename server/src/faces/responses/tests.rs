use headwater_protocol::api::{ApprovalKind, ApprovalStatus, Overrides};
use headwater_protocol::event::{Actor, ActorKind};
use headwater_protocol::message::Metadata;
use headwater_protocol::{Problem, Timestamp, Usage};

use super::*;
use crate::faces::tests::{completed, delta, log, queued, said, step, stepped, told};

fn face(log: &[Event], behind: u64, starting_after: u64) -> Responses {
    let EventBody::RunQueued { thread, .. } = log[0].body else { panic!("it begins so") };
    let about = About {
        run: log[0].run,
        thread,
        model: "assistant".into(),
        previous: None,
        asked: Overrides::default(),
        metadata: Metadata::new(),
    };
    Responses::new(about, Decider::User, behind, starting_after)
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type").trim_start_matches("response.")).collect()
}

fn output(events: &[Value]) -> &Vec<Value> {
    events.last().expect("events")["response"]["output"].as_array().expect("a list")
}

fn started(call: CallId, name: &str, kind: &str) -> [EventBody; 2] {
    let (name, kind) = (name.to_owned(), Some(kind.to_owned()));
    [
        EventBody::ToolStarted { step: 1, message: MessageId::new(), call, name, kind, effect: None },
        EventBody::ToolArgs { call, args: Some(json!({"a": 1})) },
    ]
}

fn asked(call: CallId, approval: ApprovalId, deciders: Vec<Decider>) -> EventBody {
    EventBody::ApprovalRequested {
        approval,
        kind: ApprovalKind::Tool,
        call,
        name: "pay".into(),
        args: Some(json!({"a": 1})),
        message: "Pay?".into(),
        schema: json!({}),
        deciders,
        expires_at: Timestamp::from_ms(0),
    }
}

fn suspended(pending: Vec<Pending>) -> EventBody {
    EventBody::RunSuspended { reason: "approval".into(), pending }
}

fn resumed() -> EventBody {
    EventBody::RunResumed { attempt: 1, reason: "decision".into() }
}

fn resolved(call: CallId, approval: ApprovalId) -> EventBody {
    let by = Some(Actor { kind: ActorKind::User, id: None, reason: None });
    let (edited_args, comment, remember) = (Some(json!({"a": 2})), None, None);
    EventBody::ApprovalResolved {
        approval,
        call,
        decision: ApprovalStatus::Approved,
        by,
        edited_args,
        comment,
        remember,
    }
}

fn answered(call: CallId) -> EventBody {
    EventBody::ToolCompleted { call, output: Some(json!({"paid": true})), artifact: None, duration_ms: 1 }
}

#[test]
fn words_are_an_item_and_deltas_that_are_gone_change_no_number_that_is_left() {
    let message = MessageId::new();
    let bodies = vec![
        queued(),
        step(1),
        delta(message, "Hel"),
        delta(message, "lo"),
        said(message, "Hello"),
        stepped(1, FinishReason::Stop),
        completed(message),
    ];
    let log = log(bodies);
    let all = told(face(&log, 0, 0), &log, 0, None);
    let want = [
        "created",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&all), want);
    assert_eq!(all[0]["response"]["output"], json!([]));
    assert_eq!(output(&all)[0]["content"][0]["text"], "Hello");
    assert_eq!(all[7]["item"], output(&all)[0]);
    let numbers: Vec<u64> = all.iter().map(|event| event["sequence_number"].as_u64().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    // Behind each number it is the rest.
    for (at, number) in numbers.iter().enumerate() {
        assert_eq!(told(face(&log, 0, *number), &log, 0, None), all[at + 1..]);
    }
    // Of a log without its deltas: the same ends under the same numbers, and the words all at once.
    let short: Vec<Event> = log.iter().filter(|event| !event.body.is_delta()).cloned().collect();
    let compacted = told(face(&log, 0, 0), &short, 0, None);
    assert_eq!(
        types(&compacted),
        [
            "created",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    assert_eq!(compacted[4..], all[5..]);
    // Who had seen something of it before is told how it ended.
    let ended = told(face(&log, 0, numbers[4]).compacted(), &short, 0, None);
    assert_eq!(ended, all[all.len() - 1..]);
}

#[test]
fn every_field_is_there_nulls_included() {
    let log = log(vec![queued(), completed(MessageId::new())]);
    let all = told(face(&log, 0, 0), &log, 0, None);
    let response = all.last().expect("an end")["response"].as_object().expect("an object");
    // Those of the type `Response` of the npm package, 6.49.
    let fields = "id created_at error incomplete_details instructions metadata model object output parallel_tool_calls temperature \
        tool_choice tools top_p background completed_at conversation max_output_tokens moderation previous_response_id prompt \
        prompt_cache_key prompt_cache_retention reasoning safety_identifier service_tier status text top_logprobs truncation usage user";
    for field in fields.split_whitespace() {
        assert!(response.contains_key(field), "{field}");
    }
}

#[test]
fn it_ends_where_its_client_is_asked_and_what_follows_is_another_one() {
    let (call, approval, message) = (CallId::new(), ApprovalId::new(), MessageId::new());
    let mut bodies = vec![queued(), step(1)];
    bodies.extend(started(call, "pay", "http"));
    bodies.push(asked(call, approval, vec![Decider::User]));
    bodies.push(suspended(vec![Pending::of_call(call, Some(approval), None)]));
    let rest = bodies.len() as u64;
    bodies.extend([resumed(), resolved(call, approval), answered(call), stepped(1, FinishReason::ToolCalls)]);
    bodies.extend([said(message, "Paid."), completed(message)]);
    let log = log(bodies);
    let first = told(face(&log, 0, 0), &log, 0, None);
    assert_eq!(first.last().map(|event| &event["type"]), Some(&json!("response.completed")));
    let items: Vec<&Value> = output(&first).iter().map(|item| &item["type"]).collect();
    // What was begun and waits now is not called.
    assert_eq!(items, ["mcp_approval_request"]);
    assert_eq!(output(&first)[0]["id"], json!(approval));
    let second = told(face(&log, rest, 0), &log, 0, None);
    assert_eq!(types(&second)[..2], ["created", "in_progress"]);
    let called = &output(&second)[0];
    assert_eq!(
        (&called["type"], &called["arguments"]),
        (&json!("mcp_call"), &json!(r#"{"a":2}"#)),
        "as it was decided"
    );
    assert_eq!((&called["output"], &called["approval_request_id"]), (&json!(r#"{"paid":true}"#), &json!(approval)));
    assert_eq!(output(&second)[1]["content"][0]["text"], "Paid.");
    let id = |events: &[Value]| events[0]["response"]["id"].clone();
    assert_ne!(id(&first), id(&second));
    assert_eq!(second[0]["response"]["previous_response_id"], id(&first));
}

#[test]
fn who_may_not_decide_is_not_asked_and_waits() {
    let (call, approval) = (CallId::new(), ApprovalId::new());
    let mut bodies = vec![queued(), step(1)];
    bodies.extend(started(call, "pay", "http"));
    bodies.push(asked(call, approval, vec![Decider::Tenant]));
    bodies.push(suspended(vec![Pending::of_call(call, Some(approval), None)]));
    bodies.extend([resumed(), resolved(call, approval), answered(call), completed(MessageId::new())]);
    let log = log(bodies);
    let all = told(face(&log, 0, 0), &log, 0, None);
    let items: Vec<&Value> = output(&all).iter().map(|item| &item["type"]).collect();
    assert_eq!(items, ["mcp_call"]);
}

#[test]
fn a_call_of_the_clients_own_is_told_when_it_is_waited_for() {
    let (call, approval) = (CallId::new(), ApprovalId::new());
    let mut bodies = vec![queued(), step(1)];
    bodies.extend(started(call, "pick", "client"));
    bodies.push(asked(call, approval, vec![Decider::User]));
    bodies.push(suspended(vec![Pending::of_call(call, Some(approval), None)]));
    let first_rest = bodies.len() as u64;
    bodies.extend([resumed(), resolved(call, approval), suspended(vec![Pending::of_call(call, None, None)])]);
    let second_rest = bodies.len() as u64;
    bodies.extend([resumed(), answered(call), completed(MessageId::new())]);
    let log = log(bodies);
    let types_of = |behind: u64| -> Vec<Value> {
        output(&told(face(&log, behind, 0), &log, 0, None)).iter().map(|item| item["type"].clone()).collect()
    };
    assert_eq!(types_of(0), ["mcp_approval_request"]);
    assert_eq!(types_of(first_rest), ["function_call"]);
    assert!(types_of(second_rest).is_empty());
    let called = &output(&told(face(&log, first_rest, 0), &log, 0, None))[0].clone();
    assert_eq!((&called["call_id"], &called["arguments"]), (&json!(call), &json!(r#"{"a":2}"#)));
}

#[test]
fn what_is_void_ends_incomplete_and_is_not_in_the_output() {
    let (call, message, again) = (CallId::new(), MessageId::new(), MessageId::new());
    let [begun, args] = started(call, "pay", "http");
    let reset = EventBody::StepReset { step: 1, reason: "takeover".into(), messages: vec![message], calls: vec![call] };
    let log =
        log(vec![queued(), step(1), delta(message, "Hel"), begun, args, reset, said(again, "Hello"), completed(again)]);
    let all = told(face(&log, 0, 0), &log, 0, None);
    let done: Vec<&Value> = all.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    let ends: Vec<&Value> = done.iter().map(|event| &event["item"]["status"]).collect();
    assert_eq!(ends, ["incomplete", "incomplete", "completed"]);
    assert_eq!((output(&all).len(), &output(&all)[0]["id"]), (1, &json!(again)));
}

#[test]
fn other_ends() {
    let by = Actor { kind: ActorKind::User, id: None, reason: None };
    let cancelled = EventBody::RunCancelled { by, usage: Usage::default(), cost: None };
    let error = Problem::new(headwater_protocol::ErrorCode::ProviderTimeout, "it took too long");
    let failed = EventBody::RunFailed {
        code: error.code,
        message: None,
        retryable: true,
        error,
        usage: Usage::default(),
        cost: None,
    };
    for (end, kind, status) in [(cancelled, "incomplete", "cancelled"), (failed, "failed", "failed")] {
        let log = log(vec![queued(), end]);
        let all = told(face(&log, 0, 0), &log, 0, None);
        assert_eq!(types(&all), ["created", kind]);
        assert_eq!(all[1]["response"]["status"], status);
    }
}
