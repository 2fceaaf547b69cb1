//! Streams against a real Postgres: writers, rings, readers, as several processes have them.

mod ends;
mod rings;
mod support;
