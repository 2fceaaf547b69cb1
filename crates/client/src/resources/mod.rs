//! One method per operation of the API, named resource first, as the OpenAPI's `operationId`s.
//!
//! Every POST carries an `Idempotency-Key`; every call is repeated as [`RetryPolicy`](crate::RetryPolicy) says.
//! A delete of what is not there is a success.

mod agents;
mod budgets;
mod plans;
mod runs;
mod schedules;
mod tenants;
mod threads;
mod tools;
mod users;
mod webhooks;
