//! Headers on every answer, cross-origin requests, request rates, what is open to everybody.

use headwater_testkit::model::Reply;
use serde_json::json;

use crate::support::sse::Stream;
use crate::support::tenant::id;
use crate::support::{Answer, Lane, Site, eventually};

#[tokio::test]
async fn every_answer_says_which_request_and_which_build() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let run = id(&alice.key.run("x").await);
    alice.key.ended(&run).await;
    let anybody = site.anybody();
    let answers: Vec<Answer> = vec![
        anybody.get("/healthz").await,
        anybody.get("/readyz").await,
        anybody.get("/openapi.json").await,
        anybody.get("/docs").await,
        anybody.get("/docs/errors").await,
        anybody.get("/nothing").await,
        anybody.get("/v1/threads").await,
        alice.key.get("/v1/threads").await,
        alice.key.get("/v1/runs/x").await,
        alice.key.get(&format!("/v1/runs/{run}/events")).await,
        alice.key.with("last-event-id", "99").get(&format!("/v1/runs/{run}/events")).await,
        alice.key.post("/v1/threads", json!({"x": 1})).await,
        alice.key.raw("DELETE", "/v1/threads", None, "").await,
        anybody
            .with("origin", "https://x.test")
            .with("access-control-request-method", "GET")
            .raw("OPTIONS", "/v1/me", None, "")
            .await,
    ];
    let mut ids = std::collections::BTreeSet::new();
    for answer in &answers {
        let id = answer.header("request-id").unwrap_or_else(|| panic!("{} has no Request-Id", answer.asked));
        assert!(id.starts_with("req_") && ids.insert(id.to_owned()), "{id} is new");
        let version = answer.header("headwater-version");
        assert_eq!(version, Some(env!("CARGO_PKG_VERSION")), "{}", answer.asked);
    }
    let given = alice.key.with("x-request-id", "mine").get("/v1/threads").await;
    assert_ne!(given.header("request-id"), Some("mine"), "a client's own id is logged, not echoed");
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/errors"] {
        assert_eq!(anybody.get(path).await.status, 200, "{path} is open");
    }
    let errors = anybody.get("/docs/errors").await.text();
    assert!(errors.contains("id=thread_busy") || errors.contains("id=\"thread_busy\""), "each code has an anchor");
}

#[tokio::test]
async fn cross_origin_requests() {
    let site = Site::shared().await;
    let (tenant, other) = (site.tenant().await, site.tenant().await);
    let origin = format!("https://{}.test", tenant.id.replace('_', "-"));
    tenant.api.patch("/v1/tenant", json!({"allowed_origins": [origin]})).await.ok(200);
    let preflight = |origin: &str| {
        let api = site.anybody().with("origin", origin).with("access-control-request-method", "POST");
        async move { api.raw("OPTIONS", "/v1/runs", None, "").await }
    };
    let known = eventually("a known origin", || async {
        let answer = preflight(&origin).await;
        (answer.status == 204).then_some(answer)
    })
    .await;
    assert_eq!(known.header("access-control-allow-origin"), Some(origin.as_str()));
    let allowed = known.header("access-control-allow-headers").expect("headers").to_ascii_lowercase();
    let ours = ["authorization", "content-type", "headwater-user", "idempotency-key", "last-event-id", "if-match"];
    // What OpenAI's library sends from a page.
    for name in ours.into_iter().chain(["x-stainless-os", "x-stainless-retry-count", "openai-organization"]) {
        assert!(allowed.contains(name), "{name} in {allowed}");
    }
    let methods = known.header("access-control-allow-methods").expect("methods");
    assert!(["GET", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    preflight("https://nobody.test").await.problem(403, "origin_not_allowed");
    preflight("null").await.problem(403, "origin_not_allowed");
    // The real answer is readable for the caller's own tenant's pages only; errors too.
    for path in ["/v1/me", "/v1/runs/x"] {
        let own = tenant.api.with("origin", &origin).get(path).await;
        assert_eq!(own.header("access-control-allow-origin"), Some(origin.as_str()), "{path}");
        let exposed = own.header("access-control-expose-headers").expect("headers").to_ascii_lowercase();
        for name in ["request-id", "headwater-version", "ratelimit", "retry-after", "location", "etag"] {
            assert!(exposed.contains(name), "{name} in {exposed}");
        }
        let theirs = other.api.with("origin", &origin).get(path).await;
        assert_eq!(theirs.header("access-control-allow-origin"), None, "{path}");
    }
    let vary = tenant.api.get("/v1/me").await;
    assert!(vary.header("vary").is_some_and(|vary| vary.contains("Origin")));
}

#[tokio::test]
async fn rates_are_told_and_kept() {
    let site = Site::start(&[
        ("HEADWATER__LIMITS__REQUESTS_PER_MINUTE_PER_KEY", "12"),
        ("HEADWATER__LIMITS__REQUESTS_PER_MINUTE_PER_USER", "5"),
        ("HEADWATER__LIMITS__REQUESTS_PER_MINUTE_PER_TENANT", "100"),
    ])
    .await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let first = alice.token.get("/v1/me").await;
    first.ok(200);
    let policy = first.header("ratelimit-policy").expect("the policies");
    assert!(policy.contains("\"user\";q=5;w=60") && policy.contains("\"tenant\";q=100;w=60"), "{policy}");
    let rate = first.header("ratelimit").expect("the tightest");
    assert!(rate.starts_with("\"user\";r=4;t="), "{rate}");
    let mut refused = None;
    for _ in 0..6 {
        let answer = alice.token.get("/v1/me").await;
        if answer.status == 429 {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("six are more than are left");
    let problem = refused.problem(429, "rate_limited");
    assert_eq!((&problem["policy"], &problem["retryable"]), (&json!("user"), &json!(true)));
    let number = |name: &str| -> u64 { refused.header(name).expect("a header").parse().expect("a number") };
    let (seconds, ms) = (number("retry-after"), number("retry-after-ms"));
    assert!(ms > 0 && seconds == ms.div_ceil(1000), "{seconds} s, {ms} ms");
    assert!(refused.header("ratelimit").is_some_and(|rate| rate.starts_with("\"user\";r=0;")));
    // A refusal before the route: also of what does not exist, but not of who is nobody.
    alice.token.get("/v1/runs/x").await.problem(429, "rate_limited");
    site.anybody().get("/v1/me").await.problem(401, "unauthenticated");
    // Another user has a bucket of its own, the key too, and the operator none.
    let bob = tenant.api.with("headwater-user", "bob");
    bob.get("/v1/me").await.ok(200);
    for _ in 0..20 {
        site.operator().get("/v1/tenants").await.ok(200);
    }
    let stream = Stream::open(&alice.token, "run_x", None).await;
    assert_eq!(stream.status, 429);
}

/// The status of the next answer on a connection.
async fn next_status(socket: &mut tokio::net::TcpStream) -> Option<u16> {
    use tokio::io::AsyncReadExt as _;
    let mut text = String::new();
    loop {
        let head = text.find("\r\n\r\n").map(|at| at + 4);
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if let Some(head) = head
            && text.len() >= head + length.unwrap_or(0)
        {
            return text.split(' ').nth(1)?.parse().ok();
        }
        let mut buffer = [0; 4096];
        let read = socket.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..read]).expect("text"));
    }
}

#[tokio::test]
async fn a_refusal_does_not_cost_the_next_request_its_connection() {
    use tokio::io::AsyncWriteExt as _;
    let site = Site::shared().await;
    let mut socket =
        tokio::net::TcpStream::connect(site.url.trim_start_matches("http://")).await.expect("a connection");
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(400));
    // Many times: whether the refusal comes before the body is a matter of luck.
    for nth in 0..50 {
        let head = format!(
            "PATCH /v1/tenants/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer nobody\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.expect("written");
        tokio::task::yield_now().await;
        socket.write_all(body.as_bytes()).await.expect("written");
        assert_eq!(next_status(&mut socket).await, Some(401), "refusal {nth}");
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
        assert_eq!(next_status(&mut socket).await, Some(200), "behind refusal {nth}");
    }
}

#[tokio::test]
async fn the_console_is_there_and_loads_nothing_from_elsewhere() {
    let site = Site::shared().await;
    let page = site.anybody().get("/console/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"),
        "{policy}"
    );
    let text = page.text();
    assert!(!text.contains("http") && !text.contains("=\"//"), "nothing of anybody else: {text}");
    for path in ["/console/nothing", "/console/../Cargo.toml", "/console/%2e%2e/Cargo.toml", "/console//etc/passwd"] {
        site.anybody().get(path).await.problem(404, "not_found");
    }
}
