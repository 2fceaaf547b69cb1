//! The server from outside: the real binary on a real database, talked to over HTTP.

mod api;
mod layering;
mod runs;
mod support;
mod tenancy;
