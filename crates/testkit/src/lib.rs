//! What tests and the load test need: a model server over real HTTP, throw-away databases, a server process on a port.
//!
//! Promises that a test which passes with it has met real sockets, a real Postgres as the application role, and real
//! processes. Never part of the product: only tests and the load test depend on it.

pub mod alone;
pub mod cutter;
pub mod database;
pub mod faults;
pub mod keeping;
pub mod model;
pub mod pooler;
pub mod process;
pub mod random;
pub mod tap;
pub mod tools;

pub use alone::Alone;
pub use cutter::Cutter;
pub use database::Database;
pub use faults::Faults;
pub use keeping::KeepingModel;
pub use model::ModelServer;
pub use pooler::Pooler;
pub use process::ServerProcess;
pub use random::Random;
pub use tap::Tap;
pub use tools::ToolServer;
