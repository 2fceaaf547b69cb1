//! Streams against a real Postgres: writers, rings, readers, as several processes have them.

mod ends;
mod property;
mod rings;
mod support;
