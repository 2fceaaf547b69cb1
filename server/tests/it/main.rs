//! The server from outside: the real binary on a real database, talked to over HTTP.

mod alone;
mod api;
mod autoscale;
mod crash;
mod faces;
mod layering;
mod limits;
mod quiet;
mod rolling;
mod runs;
mod secrets;
mod support;
mod telemetry;
mod tenancy;
