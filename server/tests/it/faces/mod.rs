//! The same log for clients that others wrote: by what goes over the wire, and with those clients themselves (`real`).

mod ai_sdk;
mod durable;
mod openai;
mod real;
