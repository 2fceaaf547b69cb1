//! `UserScopedStorage`: Postgres behind a wall, and the only place with SQL.
//!
//! Owns the roles, the schema, its migrations, the row-level security that keeps tenants apart, the event log with its
//! two ways in, leases and claims, and a private Postgres for somebody who has none.
//! Promises that no row of another tenant or user is ever visible through [`UserScopedStorage`], that no event is
//! reported as written before it is committed, and that an owner who lost its lease cannot append.
//! Never lets a caller name a tenant: the scope does, once, when the storage is made from it. What has to reach across
//! tenants goes through [`Store::unscoped`], which can call the definer functions of the schema and nothing else.
//!
//! | module | holds |
//! |---|---|
//! | [`gate`] | the one door to all of it, which is shut while a process is quiet |
//! | [`pool`] | the pools of connections, and what each connection is like |
//! | `connection` | one of them on loan: statements, transactions, one round trip per scoped statement |
//! | [`scoped`] | [`UserScopedStorage`], by resource |
//! | [`unscoped`] | the definer functions |
//! | [`replica`] | this process as the database knows it |
//! | [`terms`] | what holds for each tenant: its plan, its prices |
//! | [`commit`], [`create`] | writes of many runs in few statements |
//! | [`bus`] | hints between replicas |
//! | [`pack`] | logs of finished runs in fewer rows, when there is time |
//! | [`waker`] | when somebody outside has to wake the service |
//! | [`migrate`] | roles, migrations, the lint of the wall |
//! | [`embedded`] | a private Postgres |

#[cfg(feature = "admin")]
pub mod admin;
mod batch;
pub mod bus;
pub mod commit;
mod connection;
pub mod create;
pub mod embedded;
pub mod error;
pub mod gate;
pub mod migrate;
pub mod news;
pub mod pack;
pub mod pool;
pub mod replica;
pub mod scoped;
pub mod terms;
mod tls;
pub mod unscoped;
pub mod waker;

pub use bus::{Bus, Hint, ListenAt, Listener};
pub use commit::Committer;
pub use create::Creator;
pub use error::StoreError;
pub use gate::{Busy, Gate};
pub use news::Rested;
pub use pack::Packer;
pub use pool::{Store, StoreOptions};
pub use replica::{Replica, Share};
pub use scoped::UserScopedStorage;
pub use terms::{TenantTerms, TermsBook};
pub use unscoped::Unscoped;
