//! Tests of the testkit's own programs.

mod test_postgres;
