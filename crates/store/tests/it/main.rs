//! The store against a real Postgres, as the application role.

mod commits;
mod fence;
mod leaks;
mod lint;
mod matrix;
mod support;
mod wall;
