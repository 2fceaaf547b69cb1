//! The Rust SDK of Headwater: typed calls of the HTTP API v1, and streams of a run's events that resume by themselves.
//!
//! Owns how a client authenticates, repeats and resumes.
//! Promises that a call which may have had its effect is only repeated under the same `Idempotency-Key`, and that a
//! [`RunStream`] yields every event of a run exactly once, in order, or ends with an error that says why not.
//! Never spawns a task, never writes a log, never shows a credential in a `Debug` form or in an error.
//!
//! | module | holds |
//! |---|---|
//! | [`Client`] | the credential, the base URL and one connection pool; clones are cheap |
//! | `resources` | one method per operation, named resource first (`runs_create`, `runs_get`, …) |
//! | [`RunStream`] | an auto-resuming stream of a run's events |
//! | [`Error`] | everything that can go wrong |
//!
//! ```no_run
//! use headwater_client::{Client, Options, StreamItem};
//! use headwater_client::protocol::api::RunParams;
//! use headwater_client::protocol::event::EventBody;
//!
//! # async fn example() -> Result<(), headwater_client::Error> {
//! let client = Client::builder("https://headwater.example").api_key("hw_sk_…").as_user("alice").build()?;
//! let mut stream = client.runs_create_stream(&RunParams::new("assistant", "Where is order 7?"), Options::new())?;
//! while let Some(item) = stream.next_item().await {
//!     if let StreamItem::Event(line) = item? {
//!         if let EventBody::MessageDelta { delta, .. } = line.parse()?.body {
//!             print!("{delta}");
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod auth;
mod builder;
mod call;
mod client;
mod error;
mod options;
mod resources;
mod retry;
mod stream;

pub use auth::BoxError;
pub use builder::ClientBuilder;
pub use client::Client;
pub use error::Error;
pub use headwater_protocol as protocol;
pub use options::{AgentParams, ListOptions, Options, Order, UsageQuery};
pub use retry::RetryPolicy;
pub use stream::{Cursor, EventLine, RunStream, StreamItem, StreamOptions, StreamReset, StreamStats};
