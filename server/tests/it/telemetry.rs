//! What is counted and traced, who may see it, and what is sent to a receiver of OTLP.

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::ToolAnswer;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::runs::suspended;
use crate::support::sse::Stream;
use crate::support::tenant::id;
use crate::support::{Lane, Site, eventually, serve};

const KEY: &str = "a-key-for-prometheus-and-nothing-else-0123";

/// What is counted when it happens, and does not happen here.
const NOT_HERE: [&str; 4] = [
    "headwater_llm_overrun_usd_total",
    "headwater_runs_resumed_total",
    "headwater_telemetry_dropped_total",
    "headwater_webhook_attempts_total",
];

/// The values of a metric's lines that hold all of these labels.
fn values(text: &str, name: &str, labels: &[&str]) -> Vec<f64> {
    let lines = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")).collect()
}

#[tokio::test]
async fn calls_runs_and_requests_are_counted_and_nobody_is_named() {
    let site = Site::start(&[("HEADWATER__TELEMETRY__METRICS_KEY", KEY)]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let lane = Lane::sequence([Reply::text("Well."), Reply::status(400), Reply::text("x")]);
    let priced = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark()});
    let agent = tenant.agent_with(&lane, priced).await;
    let run = id(&alice.key.run("How are you?").await);
    assert_eq!(alice.key.ended(&run).await["status"], "completed");
    let failed = id(&alice.key.run("y").await);
    assert_eq!(alice.key.ended(&failed).await["status"], "failed");
    let made_up = json!({"agent": "assistant", "input": "z", "model": format!("fake/{}-{}", lane.mark(), "made-up")});
    let other = id(&alice.key.post("/v1/runs", made_up).await.ok(201));
    alice.key.ended(&other).await;

    let answer = site.anybody().bearer(KEY).get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let text = answer.text();
    let one = |name: &str, labels: &[&str]| match values(&text, name, labels)[..] {
        [value] => value,
        ref several => panic!("{name} {labels:?}: {several:?} in {text}"),
    };
    let mini = [r#"gen_ai_request_model="openai/gpt-5-mini""#, r#"gen_ai_provider_name="openai""#];
    let and = |label| [mini[0], mini[1], label];
    assert_eq!(one("gen_ai_client_token_usage_count", &and(r#"gen_ai_token_type="input""#)), 1.0);
    assert!(one("headwater_llm_cost_usd_total", &mini) > 0.0);
    assert_eq!(
        one("headwater_llm_estimate_error_ratio_count", &mini),
        1.0,
        "how far the estimate was off, for each model"
    );
    assert_eq!(one("headwater_llm_refused_total", &and(r#"error_type="provider_rejected""#)), 1.0);
    assert_eq!(one("headwater_runs_ended_total", &[r#"headwater_status="completed""#]), 2.0);
    assert_eq!(one("headwater_runs_ended_total", &[r#"headwater_fault="tenant""#]), 1.0);
    let posted = [r#"http_route="/v1/runs""#, r#"http_request_method="POST""#, r#"http_response_status_code="201""#];
    assert_eq!(one("http_server_request_duration_seconds_count", &posted), 3.0);
    assert!(one("headwater_store_write_duration_seconds_count", &[r#"headwater_write="commit""#]) > 0.0);
    assert_eq!(one("headwater_awake", &[]), 1.0);
    assert_eq!(one("headwater_llm_calls_active", &[r#"gen_ai_provider_name="openai""#]), 0.0);
    // What is drawn and watched is what is counted.
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    for file in ["grafana/headwater.json", "prometheus/alerts.yml"] {
        let drawn = std::fs::read_to_string(format!("{deploy}/{file}")).expect("it is there");
        let names = drawn.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_one = |name: &&str| {
            ["headwater_", "gen_ai_", "http_server_"].iter().any(|prefix| name.starts_with(prefix))
                && ["_total", "_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix))
                || ["headwater_awake", "headwater_runs_live", "headwater_streams_open"].contains(name)
        };
        let mut some = false;
        for name in names.filter(is_one).filter(|name| !NOT_HERE.contains(name)) {
            some = true;
            assert!(!values(&text, name, &[]).is_empty(), "{file} names {name}, which is not counted");
        }
        assert!(some, "{file} names something");
    }
    // Names that tenants make up are no labels, nor is anybody's id.
    assert_eq!(one("gen_ai_client_operation_duration_seconds_count", &[r#"gen_ai_request_model="other""#]), 1.0);
    for secret in [&*tenant.id, &*alice.id, &*run, "made-up", agent["id"].as_str().expect("an id"), "How are"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn only_who_has_the_key_sees_it() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    assert_eq!(site.operator().get("/metrics").await.status, 200);
    for nobody in [site.anybody(), tenant.api.clone(), site.anybody().bearer(KEY), site.anybody().bearer("hw_op_x")] {
        nobody.get("/metrics").await.problem(401, "unauthenticated");
    }
}

/// All spans that a receiver was sent, as OTLP defines them.
fn spans(receiver: &ToolServer) -> Vec<Span> {
    let traces = receiver.requests().into_iter().filter(|request| request.path == "/v1/traces");
    let decoded = traces.map(|request| ExportTraceServiceRequest::decode(&*request.bytes).expect("OTLP"));
    decoded
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

fn attribute(span: &Span, key: &str) -> Option<AnyValue> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.clone()
}

fn words(span: &Span, key: &str) -> String {
    match attribute(span, key) {
        Some(AnyValue::StringValue(text)) => text,
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn number(span: &Span, key: &str) -> i64 {
    match attribute(span, key) {
        Some(AnyValue::IntValue(number)) => number,
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What nobody but the people and models concerned may see.
const SAID: [&str; 4] = ["hush-question", "hush-argument", "hush-result", "hush-answer"];

/// A run with a tool, an approval in the middle and an owner that dies, within somebody's trace. The spans of it, once its own has come.
async fn traced(receiver: &ToolServer, more: &[(&str, &str)]) -> (Vec<Span>, Vec<String>) {
    let settings: Vec<_> =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.url), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20key")]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
    let mut first = Site::start(&settings).await;
    let tenant = first.tenant().await;
    let alice = tenant.user("alice").await;
    let shop = ToolServer::start(|_| ToolAnswer::json(&json!({"found": SAID[2]})));
    let (cut, gate) = Reply::tokens(4).usage(10, 10).gate();
    let lane = Lane::sequence([
        Reply::text("").tool_call("look", json!({"of": SAID[1]}).to_string()).usage(10, 5),
        Reply::text("").tool_call("pay", "{}").usage(10, 5),
        cut,
        Reply::text(SAID[3]).usage(10, 5),
    ]);
    let request = json!({"method": "POST", "url": shop.url, "body": "{{args}}"});
    let tools = json!([
        {"type": "http", "name": "look", "effect": "read", "request": request,
         "parameters": {"type": "object", "properties": {"of": {"type": "string"}}}},
        {"type": "http", "name": "pay", "effect": "idempotent", "policy": "ask", "request": request}]);
    let priced = json!({"model": "openai/gpt-5-mini", "instructions": lane.mark(), "tools": tools});
    tenant.agent_with(&lane, priced).await;
    let asked = json!({"agent": "assistant", "input": SAID[0]});
    let made = alice.key.with("traceparent", CALLERS).post("/v1/runs", asked).await;
    let answered = made.header("traceresponse").expect("where it stands").to_owned();
    let run = made.ok(201);
    let id = id(&run);
    assert!(answered.starts_with(&CALLERS[..36]) && answered.ends_with("-01"), "{answered}");
    let waits = suspended(&alice, &id).await;
    // What is done by then is told before it goes on, by whoever.
    eventually("its beginning is told", || async {
        spans(receiver).iter().any(|span| span.name == "execute_tool look").then_some(())
    })
    .await;
    let approval = waits["pending"][0]["approval"].as_str().expect("a question");
    let mut stream = Stream::open(&alice.token, &id, None).await;
    alice.key.post(&format!("/v1/runs/{id}/approvals/{approval}"), json!({"decision": "approved"})).await.ok(200);
    gate.pass(1);
    stream.until("tok0").await;
    first.process.kill9();
    let second = serve(&first.database, &settings);
    let there = alice.at(&second.url);
    gate.open();
    let ended = there.key.ended(&id).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!(SAID[3])));
    let all = eventually("the run's own span", || async {
        let all = spans(receiver);
        all.iter().any(|span| span.name == "invoke_agent assistant").then_some(all)
    })
    .await;
    let heard =
        shop.requests().iter().map(|request| request.header("traceparent").expect("its span").to_owned()).collect();
    let root = all.iter().find(|span| span.name == "invoke_agent assistant").expect("it came");
    assert_eq!(answered, format!("{}{}-01", &CALLERS[..36], hex(&root.span_id)), "the caller was told of it");
    assert_eq!(words(root, "headwater.run.id"), id);
    assert_eq!(words(root, "headwater.tenant.id"), tenant.id);
    assert_eq!(words(root, "user.id"), alice.id);
    (all, heard)
}

/// The caller's trace and span, up to the flags.
const CALLERS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_run_is_one_trace_whoever_dies_and_waits_and_tells_nothing_that_was_said() {
    let receiver = ToolServer::start(|_| ToolAnswer::text(""));
    let (all, heard) = traced(&receiver, &[]).await;
    let mut ids: Vec<String> = all.iter().map(|span| hex(&span.span_id)).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "each is told once: {:?}", all.iter().map(|span| &span.name).collect::<Vec<_>>());
    let root = all.iter().find(|span| span.name == "invoke_agent assistant").expect("it came");
    assert_eq!(hex(&root.parent_span_id), "00f067aa0ba902b7");
    for span in &all {
        assert_eq!(hex(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736", "{}", span.name);
        assert!(span.span_id == root.span_id || span.parent_span_id == root.span_id, "{}", span.name);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano && span.start_time_unix_nano > 0, "{}", span.name);
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano, "{}", span.name);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{}", span.name);
    }
    let named = |name: &str| all.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let chats = named("chat gpt-5-mini");
    // Three were answered; the one that its owner died in is told of too, as far as anybody knows of it.
    assert_eq!(chats.len(), 4, "{chats:?}");
    for chat in &chats {
        assert_eq!(words(chat, "gen_ai.operation.name"), "chat");
        assert_eq!(words(chat, "gen_ai.provider.name"), "openai");
        assert_eq!(words(chat, "gen_ai.request.model"), "gpt-5-mini");
    }
    let good: Vec<_> = chats.iter().filter(|chat| attribute(chat, "error.type").is_none()).collect();
    assert_eq!(good.len(), 3);
    assert!(good.iter().all(|chat| number(chat, "gen_ai.usage.output_tokens") == 5));
    assert!(good.iter().all(|chat| number(chat, "headwater.cost.nano_usd") > 0));
    assert!(number(root, "headwater.cost.nano_usd") > 0);
    assert_eq!(words(root, "gen_ai.operation.name"), "invoke_agent");
    assert_eq!(words(root, "gen_ai.agent.name"), "assistant");
    assert_eq!(words(root, "headwater.run.status"), "completed");
    assert_eq!(number(root, "headwater.run.takeovers"), 1);
    let [look, pay] = [named("execute_tool look"), named("execute_tool pay")].map(|spans| spans[0]);
    assert_eq!(words(look, "gen_ai.operation.name"), "execute_tool");
    assert_eq!(words(pay, "gen_ai.tool.name"), "pay");
    let approval = named("approval pay")[0];
    assert_eq!(
        (words(approval, "headwater.approval.status"), words(approval, "headwater.approval.by")),
        ("approved".into(), "user".into())
    );
    assert_eq!(words(approval, "gen_ai.tool.call.id"), words(pay, "gen_ai.tool.call.id"));
    // Whoever was called was told its span.
    let of = |span: &Span| format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", hex(&span.span_id));
    assert!(heard.contains(&of(look)) && heard.contains(&of(pay)), "{heard:?}");
    for request in receiver.requests() {
        assert_eq!(request.header("x-key"), Some("a key"));
        assert!(SAID.iter().all(|said| !request.body.contains(said)), "{}", request.path);
    }
}

#[tokio::test]
async fn what_is_said_is_told_where_that_was_asked_for_and_counters_are_sent_as_what_has_changed() {
    let receiver = ToolServer::start(|_| ToolAnswer::text(""));
    let more =
        [("HEADWATER__TELEMETRY__CAPTURE_CONTENT", "true"), ("HEADWATER__TELEMETRY__METRICS_INTERVAL_MS", "200")];
    let (all, _) = traced(&receiver, &more).await;
    let one = |name: &str| all.iter().find(|span| span.name == name).expect("it came");
    assert!(words(one("invoke_agent assistant"), "gen_ai.input.messages").contains(SAID[0]));
    assert!(words(one("invoke_agent assistant"), "gen_ai.output.messages").contains(SAID[3]));
    assert!(words(one("execute_tool look"), "gen_ai.tool.call.arguments").contains(SAID[1]));
    assert!(words(one("execute_tool look"), "gen_ai.tool.call.result").contains(SAID[2]));
    // The sum of what was sent is what was counted, by all processes.
    let sent = || {
        let requests = receiver.requests().into_iter().filter(|request| request.path == "/v1/metrics");
        let decoded = requests.map(|request| ExportMetricsServiceRequest::decode(&*request.bytes).expect("OTLP"));
        let metrics: Vec<_> = decoded
            .flat_map(|request| request.resource_metrics)
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .filter(|metric| metric.name == "headwater.runs.ended")
            .collect();
        let mut total = 0;
        for metric in metrics {
            let Some(Data::Sum(sum)) = metric.data else { panic!("{metric:?}") };
            assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Delta);
            total += sum
                .data_points
                .iter()
                .map(|point| match point.value {
                    Some(Number::AsInt(count)) => count,
                    _ => panic!("{point:?}"),
                })
                .sum::<i64>();
        }
        total
    };
    eventually("the end is counted", || async { (sent() == 1).then_some(()) }).await;
}
