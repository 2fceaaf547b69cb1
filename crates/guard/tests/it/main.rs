//! The client on real sockets.

#![expect(clippy::disallowed_methods, reason = "what is spawned ends with the test's runtime")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headwater_guard::{Answer, Ask, Guard, GuardError, Lookup, Networks, Refused};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Answers in turn, the last one for ever.
struct Names {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let one = |texts: &&[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect();
        Arc::new(Self { answers: answers.iter().map(one).collect(), asked: AtomicUsize::new(0) })
    }
}

impl Lookup for Names {
    fn lookup(&self, _: String) -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn loopback() -> Networks {
    Networks::parse(["127.0.0.1/32"]).expect("a network")
}

fn ask(url: &str) -> Ask {
    Ask {
        method: Method::GET,
        url: Url::parse(url).expect("a URL"),
        headers: HeaderMap::new(),
        body: None,
        timeout: Duration::from_secs(10),
        max_bytes: 1000,
        beyond: None,
    }
}

/// A server that answers each connection like this, and counts them.
async fn server<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, count) = (listener.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            if socket.read(&mut head).await.is_ok_and(|read| read > 0) {
                tokio::spawn(answer(socket));
            }
        }
    });
    (address, count)
}

async fn text(text: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    server(move |mut socket| async move {
        let _ = socket.write_all(text.as_bytes()).await;
    })
    .await
}

fn refused(result: Result<Answer, GuardError>) -> Refused {
    match result {
        Err(GuardError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn an_address_in_any_notation_is_looked_at() {
    let guard = Guard::new(Networks::default()).expect("a client");
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://017700000001/",
        "http://0177.0.0.01/",
        "http://127.0.0.1./",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://0/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://[fd00:ec2::254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://10.1/",
        "https://192.168.257/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
    ] {
        assert_eq!(refused(guard.call(ask(url)).await), Refused::Address, "{url}");
    }
    for (url, why) in [
        ("ftp://example.com/", Refused::Scheme),
        ("file:///etc/passwd", Refused::Scheme),
        ("http://user@example.com/", Refused::Userinfo),
        ("http://:secret@example.com/", Refused::Userinfo),
    ] {
        assert_eq!(refused(guard.call(ask(url)).await), why, "{url}");
    }
}

#[tokio::test]
async fn a_name_is_looked_at_when_it_is_connected_to() {
    let (address, count) = text("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi").await;
    let url = format!("http://shop.test:{}/", address.port());
    // Public when somebody might have looked before, and ours when it counts.
    let names = Names::new(&[&["10.0.0.1"]]);
    let guard = Guard::with_lookup(Networks::default(), names).expect("a client");
    assert_eq!(refused(guard.call(ask(&url)).await), Refused::Address);
    let names = Names::new(&[&["127.0.0.1"], &["169.254.169.254"], &["::1", "fe80::1"]]);
    let guard = Guard::with_lookup(loopback(), names.clone()).expect("a client");
    assert_eq!(guard.call(ask(&url)).await.expect("answers").body, "hi");
    for _ in 0..2 {
        assert_eq!(refused(guard.call(ask(&url)).await), Refused::Address);
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 3, "looked up for each connection");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    // Of several addresses the good ones are taken.
    let guard = Guard::with_lookup(loopback(), Names::new(&[&["10.0.0.1", "127.0.0.1"]])).expect("a client");
    assert_eq!(guard.call(ask(&url)).await.expect("answers").status, 200);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nothing_else() {
    let (inner, reached) = text("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
    let location = format!("HTTP/1.1 302 Found\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\n\r\n");
    let (outer, _) = text(location.leak()).await;
    let guard = Guard::new(loopback()).expect("a client");
    let answer = guard.call(ask(&format!("http://{outer}/"))).await.expect("answers");
    assert_eq!((answer.status.as_u16(), answer.body.len()), (302, 0));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_its_bounds() {
    let guard = Guard::new(loopback()).expect("a client");
    let (endless, _) = server(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while socket.write_all(b"400\r\n").await.is_ok() {
            if socket.write_all(&[b'x'; 0x402]).await.is_err() {
                break;
            }
        }
    })
    .await;
    // The line break after a chunk is two of its bytes; a server that errs there is cut too.
    let answer = guard.call(ask(&format!("http://{endless}/"))).await;
    match answer {
        Ok(answer) => assert!(answer.cut && answer.body.len() == 1000, "{answer:?}"),
        Err(error) => assert!(matches!(error, GuardError::Unreachable { sent: true, .. }), "{error}"),
    }
    let (long, _) = text(format!("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{}", "x".repeat(5000)).leak()).await;
    let answer = guard.call(ask(&format!("http://{long}/"))).await.expect("answers");
    assert!(answer.cut && answer.body.len() == 1000);
    // One byte at a time, and never an end.
    let (drip, _) = server(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while socket.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let slow = Ask { timeout: Duration::from_millis(300), ..ask(&format!("http://{drip}/")) };
    assert!(matches!(guard.call(slow).await, Err(GuardError::TimedOut(_))));
    // Where how it went is all that matters, that was said at once.
    let slow = Ask { timeout: Duration::from_millis(300), ..ask(&format!("http://{drip}/")) };
    assert_eq!(guard.status(slow).await.expect("answers"), 200);
    let (silent, _) = server(|socket| async move {
        let _held = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let never = Ask { timeout: Duration::from_millis(300), ..ask(&format!("http://{silent}/")) };
    assert!(matches!(guard.call(never).await, Err(GuardError::TimedOut(_))));
    let never = Ask { timeout: Duration::from_millis(300), ..ask(&format!("http://{silent}/")) };
    assert!(matches!(guard.status(never).await, Err(GuardError::TimedOut(_))));
    let heads = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(5000));
    let (heads, _) = text(heads.leak()).await;
    assert!(matches!(
        guard.call(ask(&format!("http://{heads}/"))).await,
        Err(GuardError::Unreachable { sent: true, .. })
    ));
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let nobody = guard.call(ask(&format!("http://{free}/"))).await;
    assert!(matches!(nobody, Err(GuardError::Unreachable { sent: false, .. })), "{nobody:?}");
}
