//! The SDK against a server made of scripted bytes.
//!
//! | module | shows |
//! |---|---|
//! | `calls` | what is repeated, and how |
//! | `cuts` | a stream that is cut anywhere yields every event once, in order |
//! | `streams` | resets, gaps, endings |

mod calls;
mod cuts;
mod streams;
mod support;
