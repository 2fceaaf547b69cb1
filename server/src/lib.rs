//! Headwater: a multi-tenant agent runtime in one process.
//!
//! This crate is the composition root: it owns HTTP, authentication, the settings, the command line and the wiring of
//! the other crates. No SQL, no rendering of events, no run loop lives here.
//!
//! | module | holds |
//! |---|---|
//! | [`router`] | every route on one screen |
//! | [`routes`] | one file per resource |
//! | [`auth`] | who is calling |
//! | [`http`] | the edge: listener, limits, extractors |
//! | [`wiring`] | how the parts are put together |
//! | `lease`, `quiet` | this process among others, and when nobody needs it |
//! | [`schedules`] | what happens when the time of a schedule comes |
//! | `webhooks` | what tenants' own servers are sent |
//! | `telemetry` | what is counted, and how it is shown |
//! | [`keys`] | the master key and what is derived from it |
//! | [`config`] | the settings |
//! | [`cli`] | the command line |

pub mod auth;
pub mod cli;
pub mod config;
pub mod dev;
mod doctor;
mod document;
pub mod error;
mod faces;
pub mod http;
pub mod keys;
mod lease;
mod quiet;
pub mod router;
pub mod routes;
pub mod schedules;
mod telemetry;
mod webhooks;
pub mod wiring;
