//! The rules that hold for every route: fields, errors, order of checks, headers, lists, credentials.

mod agents;
mod auth;
mod conventions;
mod edges;
mod fields;
mod idempotency;
mod lists;
mod operations;
mod plans;
