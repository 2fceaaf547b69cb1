//! Bounds: half-sent requests, heads and bodies that are too large, caps, and a database that goes away.

use headwater_testkit::database::admin_url;
use headwater_testkit::model::Reply;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::sse::{Stream, assert_dense, events, log_of, read};
use crate::support::tenant::id;
use crate::support::{Api, Lane, Site, eventually};

/// What a server says to these bytes until it closes the connection.
async fn raw(site: &Site, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(site.url.trim_start_matches("http://")).await.expect("connects");
    stream.write_all(bytes).await.expect("is sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(60), stream.read_to_end(&mut answer));
    // A connection that is reset has been closed, too.
    drop(read.await.expect("the connection is closed"));
    String::from_utf8_lossy(&answer).into_owned()
}

fn assert_problem(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("content-type: application/problem+json"), "{answer}");
    assert!(lower.contains("request-id: req_") && lower.contains("headwater-version: "), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
}

#[tokio::test]
async fn half_a_request_is_closed() {
    let site = Site::start(&[
        ("HEADWATER__SERVER__REQUEST_HEADER_TIMEOUT_MS", "300"),
        ("HEADWATER__SERVER__FIRST_BYTE_TIMEOUT_MS", "300"),
        ("HEADWATER__SERVER__KEEP_ALIVE_MS", "300"),
    ])
    .await;
    assert_problem(&raw(&site, b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuth").await, 408, "request_timeout");
    let tenant = site.tenant().await;
    let head = format!(
        "POST /v1/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nHeadwater-User: alice\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"title\":",
        tenant.secret
    );
    assert_problem(&raw(&site, head.as_bytes()).await, 408, "request_timeout");
    // Nothing at all, and nothing after a whole request: closed without a word.
    assert_eq!(raw(&site, b"").await, "");
    let whole = raw(&site, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(whole.starts_with("HTTP/1.1 200 ") && !whole.contains("request_timeout"), "{whole}");
    // An answer that takes longer than all of that is not half a request.
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(3).gate();
    tenant.agent(&Lane::sequence([reply])).await;
    let run = id(&alice.key.run("x").await);
    let mut stream = Stream::open(&alice.key, &run, None).await;
    gate.pass(1);
    stream.until("tok0").await;
    assert_problem(&raw(&site, b"GET / HTT").await, 408, "request_timeout");
    gate.open();
    assert_dense(&events(&stream.rest().await));
}

#[tokio::test]
async fn heads_that_are_too_large_or_no_http() {
    let site = Site::shared().await;
    let big = format!("GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Big: {}\r\n\r\n", "x".repeat(40_000));
    assert_problem(&raw(&site, big.as_bytes()).await, 431, "headers_too_large");
    let many: String = (0..3000).map(|n| format!("X-{n}: yyyyyyyyyy\r\n")).collect();
    let many = format!("GET /v1/me HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_problem(&raw(&site, many.as_bytes()).await, 431, "headers_too_large");
    for nonsense in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"hello\r\n\r\n", b"GET\r\n\r\n"] {
        let answer = raw(&site, &[nonsense, &b"\r\n\r\n"[..]].concat()).await;
        assert_problem(&answer, 400, "invalid_request");
    }
}

/// Whoever pools connections must know that this one ends: a POST that meets its end is lost.
#[tokio::test]
async fn a_body_that_is_not_read_takes_its_connection_along() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let head = |path: &str, length: usize| {
        let secret = &tenant.secret;
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nHeadwater-User: alice\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    for (path, status, code) in [("/v1/threads", 413, "body_too_large"), ("/v1/runs/run_x/cancel", 404, "not_found")] {
        let answer = raw(&site, head(path, 2_000_000).as_bytes()).await;
        assert_problem(&answer, status, code);
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

/// Sends what is meant to break something, and looks whether anything did.
#[tokio::test]
async fn no_input_ends_the_process() {
    let site = Site::start(&[]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    tenant.agent(&Lane::always(Reply::text("Hello."))).await;
    let deep = format!("{{\"title\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let numbers = ["1e999", "-0", "18446744073709551616", "1e-400", "NaN"];
    let mut bodies: Vec<String> =
        numbers.iter().map(|n| format!("{{\"agent\":\"assistant\",\"input\":\"x\",\"seed\":{n}}}")).collect();
    bodies.extend([
        deep,
        "{\"agent\":\"assistant\",\"input\":\"\\ud800\"}".into(),
        "{\"agent\":\"assistant\",\"input\":\"\\u0000\"}".into(),
        "{\"agent\":\"\",\"input\":\"x\"}".into(),
        "{\"agent\":\"assistant\",\"input\":[]}".into(),
        "{\"agent\":\"assistant\",\"input\":[{\"type\":\"image\"}]}".into(),
        "{\"agent\":\"assistant\",\"input\":\"x\",\"agent_version\":-2147483648}".into(),
        "{\"agent\":\"assistant\",\"input\":\"x\",\"limits\":{\"max_steps\":-1}}".into(),
        "{\"agent\":\"assistant\",\"input\":\"x\",\"model\":\"/\"}".into(),
        "{\"agent\":\"assistant\",\"input\":\"x\",\"run_at\":\"9999-99-99T00:00:00Z\"}".into(),
    ]);
    for body in bodies {
        for path in ["/v1/runs", "/v1/threads", "/v1/runs?wait_ms=9223372036854775808"] {
            let answer = alice.key.raw("POST", path, Some("application/json"), body.clone()).await;
            assert!(
                (400..500).contains(&answer.status) || answer.status == 201,
                "{body}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    for path in [
        "/v1/runs?after=%00",
        "/v1/runs?limit=9223372036854775808",
        "/v1/runs?created_after=-9999-01-01T00:00:00Z",
        "/v1/runs?external_id=%F0%9F%92%A9",
        "/v1/threads?user=%27%3B--",
        "/v1/users/%F0%9F%92%A9",
        "/v1/users/..%2f..%2f",
        "/v1/agents/%00",
        "/v1/agents/%00/versions",
        "/v1/users/a%00b",
        "/v1/threads/%00/messages/%00",
        "/v1/agents/x/versions/99999999999999999999",
        "/v1/usage?from=-999999-01-01&to=0000-01-01",
        "/v1/usage?from=9999-12-31T23:59:59.999Z",
        "/v1/runs/run_00000000-0000-0000-0000-000000000000/events?after=18446744073709551615",
        "/v1/runs/run_ffffffff-ffff-7fff-bfff-ffffffffffff/events",
    ] {
        let answer = tenant.api.get(path).await;
        assert!(answer.status < 500, "{path}: {} {}", answer.status, answer.text());
    }
    for (name, value) in
        [("last-event-id", "9".repeat(40)), ("if-match", "\"99999999999\"".into()), ("accept", "*/*, ;;;,".into())]
    {
        let answer = alice.key.with(name, &value).get("/v1/agents/assistant").await;
        assert!(answer.status < 500, "{name}: {}", answer.text());
    }
    alice.key.ended(&id(&alice.key.run("still there").await)).await;
    let log = site.process.log();
    assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
}

#[tokio::test]
async fn runs_that_wait_are_capped() {
    let site = Site::start(&[
        ("HEADWATER__RUNS__MAX_QUEUED_PER_THREAD", "8"),
        ("HEADWATER__RUNS__MAX_ACTIVE_PER_TENANT", "1"),
        ("HEADWATER__RUNS__MAX_QUEUED_PER_TENANT", "2"),
    ])
    .await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(1).gate();
    let replies = std::iter::once(reply).chain(std::iter::repeat_n(Reply::text("Later."), 20));
    let lane = Lane::sequence(replies);
    tenant.agent(&lane).await;
    let first = alice.key.run("0").await;
    lane.called(1).await;
    let thread = first["thread"].as_str().expect("an id");
    let body = json!({"agent": "assistant", "input": "x"});
    let refused = |answer: &crate::support::Answer, limit: u64| {
        let problem = answer.problem(429, "too_many_runs");
        assert_eq!(
            (&problem["limit"], &problem["retryable"], &problem["fault"]),
            (&json!(limit), &json!(true), &json!("tenant"))
        );
        assert!(answer.header("retry-after").is_some() && answer.header("retry-after-ms").is_some());
    };
    let mut runs = vec![id(&first)];
    for _ in 0..8 {
        runs.push(id(&alice.key.run_on(thread, "x").await));
    }
    refused(&alice.key.post(&format!("/v1/threads/{thread}/runs"), body.clone()).await, 8);
    // On threads of their own, beyond the one that is active: two wait, a third does not.
    let mut waiting = vec![];
    for _ in 0..2 {
        let run = alice.key.run("y").await;
        assert_eq!((&run["status"], &run["after_run"]), (&json!("queued"), &Value::Null));
        waiting.push(id(&run));
    }
    refused(&alice.key.post("/v1/runs", body.clone()).await, 2);
    // Another tenant is not in the way of anything.
    let other = site.tenant().await;
    other.agent(&Lane::always(Reply::text("Hello."))).await;
    let bob = other.user("bob").await;
    assert_eq!(bob.key.ended(&id(&bob.key.run("x").await)).await["status"], "completed");
    gate.open();
    for run in runs.iter().chain(&waiting) {
        assert_eq!(alice.key.ended(run).await["status"], "completed");
    }
    alice.key.ended(&id(&alice.key.run("z").await)).await;
}

#[tokio::test]
async fn open_streams_are_capped() {
    let site =
        Site::start(&[("HEADWATER__STREAM__MAX_OPEN_PER_USER", "2"), ("HEADWATER__STREAM__MAX_OPEN_PER_TENANT", "3")])
            .await;
    let tenant = site.tenant().await;
    let (alice, bob, carol) = (tenant.user("alice").await, tenant.user("bob").await, tenant.user("carol").await);
    let gates: Vec<_> = (0..3).map(|_| Reply::tokens(3).gate()).collect();
    let (replies, gates): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    tenant.agent(&Lane::sequence(replies)).await;
    let of = |api: &Api| {
        let api = api.clone();
        async move { id(&api.run("x").await) }
    };
    let (hers, his, third) = (of(&alice.key).await, of(&bob.key).await, of(&carol.key).await);
    let mut open = vec![];
    for _ in 0..2 {
        let mut stream = Stream::open(&alice.token, &hers, None).await;
        stream.until("stream.caught_up").await;
        open.push(stream);
    }
    // Told inside a 200, since any other status ends an EventSource for good; nothing of the log with it.
    let refused = Stream::open(&alice.key, &hers, None).await;
    assert_eq!(refused.status, 200);
    let text = String::from_utf8(refused.rest().await).expect("text");
    assert!(text.starts_with("retry: 5000\n:") && !text.contains("id:") && !text.contains("data:"), "{text}");
    // Pages are no streams.
    alice.key.with("accept", "application/json").get(&format!("/v1/runs/{hers}/events")).await.ok(200);
    let mut stream = Stream::open(&bob.token, &his, None).await;
    stream.until("stream.caught_up").await;
    open.push(stream);
    let refused = Stream::open(&carol.token, &third, None).await;
    assert!(
        String::from_utf8(refused.rest().await).expect("text").starts_with("retry: 5000\n"),
        "the tenant has its three"
    );
    // A place that is given back is free.
    open.remove(0);
    let mut again = eventually("a free place", || async {
        let mut stream = Stream::open(&carol.token, &third, None).await;
        assert!(stream.more().await);
        String::from_utf8_lossy(&stream.bytes).contains("run.queued").then_some(stream)
    })
    .await;
    again.until("stream.caught_up").await;
    gates.iter().for_each(headwater_testkit::model::Gate::open);
    for stream in open.into_iter().chain([again]) {
        assert_dense(&events(&stream.rest().await));
    }
}

/// A connection whose other end takes a few thousand bytes and no more, and which has asked for a run's events.
fn stopped_reader(url: &str, token: &str, run: &str) -> std::net::TcpStream {
    use std::io::{Read as _, Write as _};
    use std::os::fd::{AsRawFd as _, FromRawFd as _};
    let address: std::net::SocketAddrV4 = url.trim_start_matches("http://").parse().expect("an address");
    // SAFETY: plain system calls on a socket that is ours alone; it is closed with the stream made of it.
    let mut socket = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(socket >= 0, "a socket");
        std::net::TcpStream::from_raw_fd(socket)
    };
    let set = |level, option, value: libc::c_int| {
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: as above; the value outlives the call.
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) }
    };
    assert_eq!((set(libc::SOL_SOCKET, libc::SO_RCVBUF, 4096), set(libc::IPPROTO_TCP, libc::TCP_MAXSEG, 1024)), (0, 0));
    let to = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    // SAFETY: as above; the address is a whole one.
    let connected = unsafe {
        libc::connect(socket.as_raw_fd(), (&raw const to).cast(), size_of::<libc::sockaddr_in>() as libc::socklen_t)
    };
    assert_eq!(connected, 0, "connects");
    let request = format!(
        "GET /v1/runs/{run}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).expect("asks");
    let mut first = [0; 16];
    socket.read_exact(&mut first).expect("an answer begins");
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
    socket
}

/// More readers stop than there are connections to the database, each in the middle of a log: the others have them all.
#[tokio::test]
async fn readers_that_stop_hold_no_connection_of_the_database() {
    let site =
        Site::start(&[("HEADWATER__DATABASE__ACQUIRE_TIMEOUT_MS", "2000"), ("HEADWATER__STREAM__COALESCE_MS", "1")])
            .await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    // Many small events of a run that goes on, so that its log lies in many pieces and is read in many pages.
    let lane = Lane::sequence([Reply::tokens(200_000).delay_each(1)]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    Stream::open(&alice.key, &run, None).await.until_bytes(600_000).await;
    let minted = tenant.api.post("/v1/user_tokens", json!({"user": "alice"})).await.ok(201);
    let token = minted["token"].as_str().expect("a token").to_owned();
    let url = site.process.url.clone();
    let stopped =
        tokio::task::spawn_blocking(move || (0..24).map(|_| stopped_reader(&url, &token, &run)).collect::<Vec<_>>());
    let stopped = stopped.await.expect("they connect");
    for _ in 0..20 {
        alice.key.get("/v1/threads").await.ok(200);
    }
    drop(stopped);
}

/// What can become of a database, said of the one that is meant: how it begins and how it ends.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    Away,
    /// Somebody else has all connections.
    Full,
    /// A standby that has not been promoted yet.
    ReadOnly,
}

impl Trouble {
    fn begins(self) -> &'static str {
        match self {
            Self::Away => "ALLOW_CONNECTIONS false",
            Self::Full => "CONNECTION LIMIT 0",
            Self::ReadOnly => "SET default_transaction_read_only = on",
        }
    }

    fn ends(self) -> &'static str {
        match self {
            Self::Away => "ALLOW_CONNECTIONS true",
            Self::Full => "CONNECTION LIMIT -1",
            Self::ReadOnly => "RESET default_transaction_read_only",
        }
    }
}

#[tokio::test]
async fn the_database_goes_away_and_comes_back() {
    trouble_passes(Trouble::Away).await;
}

#[tokio::test]
async fn the_database_has_no_connection_to_spare() {
    trouble_passes(Trouble::Full).await;
}

#[tokio::test]
async fn the_database_is_read_only_for_a_while() {
    trouble_passes(Trouble::ReadOnly).await;
}

/// 503 with a hint for new work; what runs waits and goes on.
async fn trouble_passes(trouble: Trouble) {
    let mut site =
        Site::start(&[("HEADWATER__DATABASE__ACQUIRE_TIMEOUT_MS", "1000"), ("HEADWATER__LEASE__MS", "60000")]).await;
    let tenant = site.tenant().await;
    let alice = tenant.user("alice").await;
    let (reply, gate) = Reply::tokens(6).gate();
    let lane = Lane::sequence([reply, Reply::text("After.")]);
    tenant.agent(&lane).await;
    let run = id(&alice.key.run("x").await);
    let mut reader = Stream::open(&alice.key, &run, None).await;
    gate.pass(2);
    reader.until("tok1").await;
    let name = site.database.name();
    let admin = headwater_store::admin::Admin::connect(admin_url()).await.expect("connects as superuser");
    admin.execute(&format!("ALTER DATABASE \"{name}\" {}", trouble.begins())).await.expect("nobody new");
    site.database.everybody_out().await;
    let anybody = site.anybody();
    for (api, path) in [(&anybody, "/readyz"), (&alice.key, "/v1/threads")] {
        if trouble == Trouble::ReadOnly {
            // What only reads goes on.
            eventually("it reads", || async { (api.get(path).await.status == 200).then_some(()) }).await;
            continue;
        }
        let refused = api.get(path).await;
        let problem = refused.problem(503, "unavailable");
        assert!(refused.header("retry-after").is_some() && problem["retryable"] == true);
        assert!(!problem["detail"].as_str().expect("words").contains("test_"), "{problem}");
    }
    anybody.get("/healthz").await.ok(200);
    alice.key.post("/v1/runs", json!({"agent": "assistant", "input": "x"})).await.problem(503, "unavailable");
    // The model goes on speaking meanwhile.
    gate.pass(3);
    gate.reached(5).await;
    admin.execute(&format!("ALTER DATABASE \"{name}\" {}", trouble.ends())).await.expect("everybody back");
    if trouble == Trouble::ReadOnly {
        // Of connections that are there already it holds until they end, as with a standby that is replaced.
        site.database.everybody_out().await;
    }
    eventually("ready again", || async { (anybody.get("/readyz").await.status == 200).then_some(()) }).await;
    gate.open();
    let log = log_of(&reader.rest().await);
    assert_dense(&events(log.as_bytes()));
    assert_eq!(log, log_of(&read(&alice.key, &run, None).await));
    let ended = alice.key.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["result"]["text"]),
        (&json!("completed"), &json!(" tok0 tok1 tok2 tok3 tok4 tok5")),
        "{ended}"
    );
    assert_eq!(alice.key.ended(&id(&alice.key.run("y").await)).await["status"], "completed");
    // What a process has still to write it writes before it ends.
    site.process.stop();
    let runs = site.database.admin().await.rows("SELECT run_id::text FROM headwater.runs").await.expect("rows");
    assert_eq!(runs.len(), 2, "what was refused did not happen: {runs:?}");
}
