//! The one HTTP client for every URL that a tenant can choose: tools, MCP servers, JWKS, webhooks, own model gateways.
//!
//! Owns which addresses may be reached, and how much an answer may take. Promises that a connection goes only to an address
//! that was looked at at the moment of connecting, whatever a name resolves to before and after; that no redirect is
//! followed and no proxy used; that an answer is read no further than its bounds in bytes and in time.
//! Never knows a tenant, a secret or a tool.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | which addresses are public |
//! | [`client`] | the client |
//! | `resolve` | names, looked up and looked at |

pub mod address;
pub mod client;
mod resolve;

pub use address::Networks;
pub use client::{Answer, Ask, Beyond, Guard, GuardError, Refused};
pub use resolve::{Addresses, Lookup, SystemLookup};
