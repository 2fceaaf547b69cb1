//! The store against a real Postgres, as the application role.

mod wall;
