//! Who asks: a tenant's key and one of its users, and the bytes of their requests.

use std::net::SocketAddr;

use bytes::Bytes;

/// A key and whom it acts for.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) key: String,
    pub(crate) user: String,
}

impl Who {
    /// A whole request that sends JSON. `headers` are lines, each with its end.
    pub(crate) fn post(&self, address: SocketAddr, path: &str, headers: &str, body: &str) -> Bytes {
        Bytes::from(format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nheadwater-user: {}\r\n\
             content-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            self.key,
            self.user,
            body.len()
        ))
    }

    /// A whole request that reads a run's events after one of them.
    pub(crate) fn events(&self, address: SocketAddr, run: &str, after: u64) -> Bytes {
        let cursor = if after > 0 { format!("last-event-id: {after:016}\r\n") } else { String::new() };
        Bytes::from(format!(
            "GET /v1/runs/{run}/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nheadwater-user: {}\r\n\
             accept: text/event-stream\r\n{cursor}\r\n",
            self.key, self.user
        ))
    }
}
