//! The store against a real Postgres, as the application role.

mod matrix;
mod support;
mod wall;
