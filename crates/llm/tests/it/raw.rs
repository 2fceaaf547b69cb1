//! Answers that no decent model server gives, from a bare socket.

use headwater_protocol::event::FinishReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::*;

/// Answers one connection with these bytes and closes it. Gives the base URL, and the future that serves.
async fn serve(answer: &str) -> (String, impl Future<Output = ()> + use<>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let answer = answer.to_owned();
    let serving = async move {
        let (mut socket, _) = listener.accept().await.expect("somebody connects");
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            socket.read_buf(&mut request).await.expect("a request");
        }
        // Both fail when the client has had enough and hangs up, as it may.
        let _ = socket.write_all(answer.as_bytes()).await;
        let _ = socket.shutdown().await;
    };
    (format!("http://{address}/v1"), serving)
}

async fn answered(answer: &str) -> Told {
    let (base_url, serving) = serve(answer).await;
    let gateway = once(base_url);
    let (told, ()) = tokio::join!(call(&gateway, ask()), serving);
    told
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn an_end_without_a_finish_reason_is_no_success() {
    let body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";
    let told = answered(&format!("{HEAD}{body}")).await;
    assert_eq!((told.text().as_str(), told.code()), ("hi", "provider_truncated"));
}

#[tokio::test]
async fn a_marker_without_its_blank_line_is_understood() {
    for end in ["data: [DONE]", "data: [DONE]\n", "data:[DONE]\r\n", "data: [DONE] \r\r"] {
        let body = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"length\"}]}\n\n";
        let told = answered(&format!("{HEAD}{body}{end}")).await;
        assert_eq!(told.finished(), Some(FinishReason::Length), "{end:?}: {told:?}");
        assert!(told.settlements()[0].estimated, "no usage was told");
    }
}

#[tokio::test]
async fn a_cut_marker_is_not() {
    let body = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DON";
    assert_eq!(answered(&format!("{HEAD}{body}")).await.code(), "provider_truncated");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let told =
        answered("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(told.code(), "provider_invalid_response");
    assert_eq!(told.settlements().len(), 0);
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let told = answered(&format!("{HEAD}data: {}", "x".repeat(3 << 20))).await;
    assert_eq!(told.code(), "provider_invalid_response");
    assert_eq!(told.settlements().len(), 1);
}

#[tokio::test]
async fn something_else_than_http_is_a_provider_that_is_unavailable() {
    assert_eq!(answered("SSH-2.0-OpenSSH_9.2\r\n").await.code(), "provider_unavailable");
}

#[tokio::test]
async fn choices_beyond_the_first_and_unknown_fields_are_skipped() {
    let body = concat!(
        ": a comment\n\nevent: x\ndata: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}],\"new\":{\"a\":[1]}}\n\n",
        "data: {\"choices\":[]}\n\ndata: {\"choices\":null}\n\ndata: {}\n\ndata:\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}},{\"index\":0,\"delta\":{\"content\":\"yes\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":null,\"finish_reason\":\"eos\"}]}\n\ndata: [DONE]\n\ndata: {bad\n\n",
    );
    let told = answered(&format!("{HEAD}{body}")).await;
    assert_eq!((told.text().as_str(), told.finished()), ("yes", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn one_connection_serves_call_after_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
    let serving = async move {
        let (mut socket, _) = listener.accept().await.expect("somebody connects");
        // Else the second packet waits for the first one's acknowledgement, longer than a client waits for an end.
        socket.set_nodelay(true).expect("a socket can be told");
        for _ in 0..3 {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(socket.read_buf(&mut request).await.expect("a request"), 0, "the connection was closed");
            }
            let body =
                "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let answer = format!("{head}{:x}\r\n{body}\r\n", body.len());
            socket.write_all(answer.as_bytes()).await.expect("it is read");
            // The end of the body comes in a packet of its own.
            tokio::task::yield_now().await;
            socket.write_all(b"0\r\n\r\n").await.expect("it is read");
        }
    };
    let gateway = once(base_url);
    let calls = async {
        for _ in 0..3 {
            assert_eq!(call(&gateway, ask()).await.text(), "hi");
            // The connection's own task has a turn to put it back before somebody asks for one.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(calls, serving);
}
