//! The store against a real Postgres, as the application role.

mod fence;
mod leaks;
mod lint;
mod matrix;
mod probe;
mod support;
mod wall;
