//! Runs from outside: what is written, read again, cut, cancelled, and what a model can do to them.

mod anthropic;
mod approvals;
mod attachments;
mod budgets;
mod busy;
mod cancel;
mod delayed;
mod disconnect;
mod explain;
mod faults;
mod http_tools;
mod mcp;
mod resume;
mod retention;
mod schedules;
mod structured;
mod sub_runs;
mod threads;
mod tickets;
mod tools;
pub(crate) use tools::suspended;
mod transcript;
mod usage;
mod webhooks;
