//! The server from outside: the real binary on a real database, talked to over HTTP.

mod layering;
mod support;
mod tenancy;
