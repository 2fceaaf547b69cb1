//! The vocabulary of Headwater: ids, times, money, errors, events, messages, and the bodies of the HTTP API v1.
//!
//! Owns every name that crosses a process boundary, and how it is written as JSON.
//! Promises that a value of one of these types is well-formed (ids carry their prefix, money is exact, an unknown
//! request field is an error), and that the same value always renders to the same bytes.
//! Never does any I/O, and knows neither HTTP nor SQL.
//!
//! | module | holds |
//! |---|---|
//! | [`ids`] | one type per kind of id |
//! | [`time`] | RFC 3339 instants with milliseconds |
//! | [`money`] | nano-dollars and token usage |
//! | [`error`] | error codes and problem+json |
//! | [`event`] | the events of a run's log, and who may see what of them |
//! | [`message`] | messages and their parts |
//! | [`fold`] | what a run's log says about its open messages |
//! | [`trace`] | where a run stands in a trace |
//! | [`api`] | request and response bodies |

pub mod api;
pub mod error;
pub mod event;
pub mod fold;
pub mod ids;
pub mod message;
pub mod money;
pub mod time;
pub mod trace;

pub use error::{ErrorCode, Fault, Problem};
pub use ids::*;
pub use money::{Money, Usage};
pub use time::Timestamp;
