//! The store against a real Postgres, as the application role.

mod artifacts;
mod claiming;
mod commits;
mod creating;
mod dropped;
mod fence;
mod leaks;
mod lint;
mod log;
mod matrix;
mod retention;
mod simulation;
mod sub_runs;
mod support;
mod wall;
mod webhooks;
