//! The run loop: from an accepted input to the terminal event.
//!
//! Owns what happens in a run, and which runs of this process are under way. Promises that every run it accepts ends
//! with exactly one terminal event, whatever fails; that a panic inside one run is that run's failure and nobody
//! else's; that what a run did is in its journal in the same transaction as the events that tell of it.
//! Never talks HTTP to clients, never renders an event, never calls a provider but through `GatewayLlmService`.
//!
//! | module | holds |
//! |---|---|
//! | [`runtime`] | accepting and starting runs, and letting go of them |
//! | `cancel`, `claim` | ending runs because somebody asks; taking over what nobody owns |
//! | [`accept`] | a new run and its first events |
//! | [`context`], `attachments` | what the model is shown of the thread: words, pictures, files |
//! | `execute` | the loop |
//! | `step` | one model call, written to the log |
//! | `calls`, `carry` | the calls that a model makes, and what is decided about each; seeing them through to their ends |
//! | `perform` | calls that this process carries out itself, and what a resume repeats of them |
//! | `sub_runs` | calls of other agents: runs of their own |
//! | `toolbox`, `http_call`, `template`, `mcp_call`, `memory` | what an agent can call, and how each kind of it is called |
//! | `schema`, `structured` | schemas that tenants write; answers that have to fit one |
//! | `resume`, `lost` | going on with a run that was under way elsewhere; model calls whose end nobody saw |
//! | `ending` | ending a run that another owner left behind |
//! | `watch` | runs that end when nobody reads them |
//! | `slots` | how many runs of a tenant are under way |

pub mod accept;
mod attachments;
mod calls;
mod cancel;
mod carry;
mod claim;
pub mod context;
mod ending;
mod execute;
mod hiding;
mod http_call;
mod lost;
mod mcp_call;
mod memory;
mod metrics;
mod money;
mod perform;
mod places;
mod resume;
pub mod runtime;
mod schema;
mod slots;
mod step;
mod structured;
mod sub_runs;
mod template;
mod toolbox;
mod watch;

pub use accept::{Accepted, NewRunRequest, OfCall, ThreadTarget};
pub use attachments::is_text;
pub use calls::{args_hash, check_args, check_format, check_tools};
pub use mcp_call::{check_server, look as look_at_mcp_server};
pub use runtime::{AgentRuntime, RuntimeOptions, RuntimeParts};
pub use step::not_in_plan;
