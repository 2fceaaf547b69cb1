//! Readers that are cut and come back.
use clap::Args;
use crate::ground::Ground;
use crate::report::Case;
/// Readers cut at random bytes, which come back until they have seen everything
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct ResumeStorm {}
impl ResumeStorm {
    pub(crate) async fn run(&self, _ground: &mut Ground) -> anyhow::Result<Vec<Case>> { Ok(Vec::new()) }
}
