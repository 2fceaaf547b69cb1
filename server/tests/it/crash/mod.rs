//! A process that dies, one that comes after it, and one beside it.

mod beside;
mod effects;
mod kept;
mod killed;
mod points;
mod pooled;
mod takeover;
