//! The gateway against a model server over real HTTP, and the decoder against any cut of its bytes.

mod anthropic;
mod cancelling;
mod faults;
mod kept;
mod money;
mod proxies;
mod queueing;
mod raw;
mod responses;
mod retries;
mod scripted;
mod sse;
mod success;
mod support;
mod timeouts;
