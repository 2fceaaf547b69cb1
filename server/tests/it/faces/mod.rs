//! The same log for clients that others wrote: by what goes over the wire, and with those clients themselves (`real`).

mod ag_ui;
mod ai_sdk;
mod durable;
mod openai;
mod real;
