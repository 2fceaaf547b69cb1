//! `headwater openapi`: the document that `/openapi.json` serves, without a server.

use super::output;

pub(super) fn run() -> anyhow::Result<()> {
    output::line(&serde_json::to_string_pretty(&crate::router::openapi())?)
}
