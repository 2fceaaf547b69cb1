//! Bodies and queries that are wrong, and how that is told.

use axum::routing::{get, post};
use headwater_protocol::ErrorCode;
use http::Method;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    name: String,
    #[serde(default = "seven")]
    size: u32,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    tags: Vec<u8>,
    #[serde(default)]
    raw: Option<Box<serde_json::value::RawValue>>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    max_steps: u16,
    #[serde(rename = "a/b~c")]
    odd: bool,
}

fn seven() -> u32 {
    7
}

fn parse(body: &str) -> Result<(Params, Canonical), crate::error::ApiError> {
    json::parse(&Method::POST, body.as_bytes())
}

#[test]
fn json_that_is_none_has_a_place() {
    for (body, line, column) in [
        (&b"{\n \"name\": nope}"[..], 2, 11),
        (b"{\"name\":\"a\"} x", 1, 14),
        (b"{\"name\":\"a\"\n,\"name\":\"b\"}", 2, 8),
        (b"{\"name\":\n\"\xff\"}", 2, 2),
        (b"{\"a\":1e999}", 1, 10),
        (b" ", 1, 1),
    ] {
        let error = json::parse::<Value>(&Method::POST, body).expect_err("refused");
        assert_eq!(error.code(), ErrorCode::InvalidJson, "{error}");
        let extra = &error.problem().extra;
        assert_eq!(extra["line"], line, "{error}");
        assert!(extra["column"].as_u64().expect("a number").abs_diff(column) <= 1, "{error}");
        assert!(!error.problem().message().contains(" at line "), "{error}");
    }
    let deep = "[".repeat(5000);
    assert_eq!(parse(&deep).expect_err("refused").code(), ErrorCode::InvalidJson);
}

#[test]
fn each_wrong_field_has_a_pointer() {
    let cases = [
        (r#"{"name":1}"#, "/name", ErrorCode::InvalidValue, "must be a string, not integer `1`"),
        (r#"{"name":"a","size":-1}"#, "/size", ErrorCode::InvalidValue, "must be a whole number, not negative"),
        (r#"{"name":"a","size":"x"}"#, "/size", ErrorCode::InvalidValue, "must be a whole number"),
        (r#"{"name":"a","limits":{"a/b~c":3}}"#, "/limits/a~1b~0c", ErrorCode::InvalidValue, "must be a boolean"),
        (r#"{"name":"a","limits":3}"#, "/limits", ErrorCode::InvalidValue, "must be an object"),
        (r#"{"name":"a","tags":[1,2,300]}"#, "/tags/2", ErrorCode::InvalidValue, "must be a whole number"),
        (r#"{"name":"a","polcy":1}"#, "/polcy", ErrorCode::UnknownField, "unknown field `polcy`"),
        (r#"{"name":"a","limits":{"x":1}}"#, "/limits/x", ErrorCode::UnknownField, "unknown field `x`"),
        (r"{}", "/name", ErrorCode::InvalidValue, "is required"),
        (r#"{"name":null}"#, "/name", ErrorCode::InvalidValue, "is required"),
        (r#"{"name":"a\u0000"}"#, "/name", ErrorCode::InvalidValue, "NUL"),
        (r"3", "", ErrorCode::InvalidValue, "must be an object"),
    ];
    for (body, pointer, code, words) in cases {
        let error = parse(body).expect_err("refused");
        let field = &error.problem().errors[0];
        assert_eq!((error.code(), field.code, field.param.as_str()), (code, code, pointer), "{body}: {error}");
        assert!(field.detail.contains(words), "{body}: {}", field.detail);
        assert!(!field.detail.contains("struct") && !field.detail.contains("u32"), "{}", field.detail);
        assert_eq!(error.problem().status, 422);
    }
    let long = format!(r#"{{"name":"a","size":"{}"}}"#, "ä".repeat(10_000));
    assert!(parse(&long).expect_err("refused").problem().message().len() < 1000);
}

#[test]
fn wrong_input_has_a_pointer_into_its_parts() {
    for (input, pointer, code, words) in [
        (
            r#"[{"type":"video","url":"x"}]"#,
            "/input/0/type",
            ErrorCode::InvalidValue,
            "must be one of `text`, `image`, `file`, not `video`",
        ),
        (r#"["a"]"#, "/input/0", ErrorCode::InvalidValue, "must be a part"),
        (r#"[{"type":"text","txt":"x"}]"#, "/input/0/txt", ErrorCode::UnknownField, "unknown field `txt`"),
        (r#"[{"type":"text","text":"a"},{"type":"text"}]"#, "/input/1/text", ErrorCode::InvalidValue, "is required"),
        (r#"[{"type":"text","text":null}]"#, "/input/0/text", ErrorCode::InvalidValue, "is required"),
        ("7", "/input", ErrorCode::InvalidValue, "must be a string or a list of parts"),
        ("null", "/input", ErrorCode::InvalidValue, "is required"),
    ] {
        let body = format!(r#"{{"agent":"a","input":{input}}}"#);
        let read = json::parse::<headwater_protocol::api::RunParams>(&Method::POST, body.as_bytes());
        let error = read.expect_err("refused");
        let field = &error.problem().errors[0];
        assert_eq!((field.code, field.param.as_str()), (code, pointer), "{input}: {error}");
        assert!(field.detail.contains(words), "{input}: {}", field.detail);
    }
}

#[test]
fn null_is_the_default_except_in_a_patch() {
    let body = r#"{"name":"a","size":null,"limits":{"max_steps":null},"tags":null,"raw":{"kept": null}}"#;
    let (params, _) = parse(body).expect("reads");
    assert_eq!((params.name.as_str(), params.size, params.limits.max_steps, params.tags.len()), ("a", 7, 0, 0));
    let raw: Value = serde_json::from_str(params.raw.expect("kept").get()).expect("JSON");
    assert!(raw["kept"].is_null(), "what takes a null keeps it");
    let error = json::parse::<Params>(&Method::PATCH, body.as_bytes()).expect_err("refused");
    assert_eq!(error.problem().errors[0].param, "/size");
}

#[test]
fn the_canonical_form_is_the_same_for_every_spelling() {
    let (_, one) = parse("{\"name\":\"\\u0061\",\n \"limits\":{\"max_steps\":1,\"a/b~c\":true}}").expect("reads");
    let (_, two) = parse(r#"{"limits":{"a/b~c":true,"max_steps":1},"name":"a"}"#).expect("reads");
    assert_eq!(one, two);
    assert_eq!(one.0, r#"{"limits":{"a/b~c":true,"max_steps":1},"name":"a"}"#);
    let (_, empty) = json::parse::<Value>(&Method::POST, b"").expect("reads");
    assert_eq!(empty.0, "{}");
}

fn router() -> Router {
    Router::new()
        .route("/json", post(|ApiJson(value, _): ApiJson<Value>| async move { axum::Json(value) }))
        .route("/list", get(|ApiQuery(page): ApiQuery<Page>| async move { format!("{page:?}") }))
}

async fn post_json(headers: &str, body: &str) -> Answer {
    let server = Server::start(router(), options()).await;
    server
        .ask(&format!("POST /json HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
        .await
}

#[tokio::test]
async fn media_types() {
    for headers in [
        "Content-Type: application/json\r\n",
        "Content-Type: Application/JSON; charset=UTF-8\r\n",
        "Content-Type: application/merge-patch+json\r\n",
    ] {
        assert_eq!(post_json(headers, "{\"a\":1}").await.body, b"{\"a\":1}", "{headers}");
    }
    assert_eq!(post_json("", "").await.body, b"{}");
    for body in ["[]", " 3"] {
        let answer = post_json("Content-Type: application/json\r\n", body).await;
        let problem = answer.problem("invalid_value");
        assert_eq!((answer.status, &problem["errors"][0]["param"]), (422, &"".into()), "{problem}");
    }
    assert_eq!(post_json("Content-Type: application/json\r\n", "").await.body, b"{}");
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/json; charset=latin1\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
    ] {
        let answer = post_json(headers, "{}").await;
        assert_eq!(answer.status, 415, "{headers}");
        answer.problem("unsupported_media_type");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Desc,
}

/// Without `deny_unknown_fields`, on purpose.
#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<u8>,
    after: Option<String>,
    order: Option<Order>,
    #[serde(default)]
    status: Vec<String>,
}

#[test]
fn queries() {
    let page: Page = query::parse("limit=7&after=a%20b+c&order=asc&status=running,suspended").expect("reads");
    assert_eq!((page.limit, page.after.as_deref(), page.order), (Some(7), Some("a b c"), Some(Order::Asc)));
    assert_eq!(page.status, ["running", "suspended"]);
    assert!(query::parse::<Page>("").is_ok() && query::parse::<Page>("&").is_ok());
    let cases = [
        ("limt=7", "query:limt", "no such parameter"),
        ("limit=7&limit=8", "query:limit", "twice"),
        ("limit=seven", "query:limit", "must be a whole number"),
        ("limit=-1", "query:limit", "must be a whole number"),
        ("limit=300", "query:limit", "must be a whole number"),
        ("limit=", "query:limit", "must be a whole number"),
        ("order=up", "query:order", "must be `asc` or `desc`, not `up`"),
        ("after=%zz", "query:after", "hexadecimal"),
        ("after=%f", "query:after", "hexadecimal"),
        ("after=%ff", "query:after", "UTF-8"),
        ("after=%00", "query:after", "NUL"),
        ("%=1", "query:%", "hexadecimal"),
    ];
    for (text, param, words) in cases {
        let error = query::parse::<Page>(text).expect_err("refused");
        assert_eq!(
            (error.code(), error.problem().errors[0].param.as_str()),
            (ErrorCode::InvalidRequest, param),
            "{text}"
        );
        assert!(error.problem().message().contains(words), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_wrong_query_is_a_400() {
    let server = Server::start(router(), options()).await;
    let answer = server.ask("GET /list?bogus=1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.problem("invalid_request")["errors"][0]["param"], "query:bogus");
}
