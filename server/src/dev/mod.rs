//! What there is in dev mode only.

pub mod page;
