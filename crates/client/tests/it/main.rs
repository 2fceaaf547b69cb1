//! The SDK against a server made of scripted bytes.
//!
//! | module | shows |
//! |---|---|
//! | `calls` | what is repeated, and how |
//! | `cuts` | a stream that is cut anywhere yields every event once, in order |
//! | `faults` | what every SDK lives through |
//! | `streams` | resets, gaps, endings |

mod calls;
mod cuts;
mod faults;
mod streams;
mod support;
