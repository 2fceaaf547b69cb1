//! What settled calls have taught this process.
//!
//! Owns two kinds of numbers: how many tokens a model really makes of one of o200k's, and how long an agent's answers are.
//! Promises that neither leaves its bounds, whatever a provider tells or a tenant sends: a factor moves by half at most from
//! the one it began with, and what is learnt of one tenant's calls tells nothing to another and changes nothing for it. Of a
//! model whose vocabulary is public there is nothing to learn. Never asks or writes anywhere: a process that starts anew learns anew.

use headwater_protocol::{AgentId, TenantId};
use moka::sync::Cache;

use crate::request::CallContext;

/// Models of tenants, and agents, of which something is remembered: the last ones that were asked.
const MODELS: u64 = 20_000;
const AGENTS: u64 = 20_000;
/// What a call has to have read to tell something: of a short one most is borders and names.
const TELLING_TOKENS: u64 = 256;
/// How fast the new replaces the old: each call counts for a sixteenth, and the first ones for what they are of all.
const WEIGHT: u32 = 16;
/// How far a factor may go from where it began, in parts of it.
const LEAST_PPM: u64 = 500_000;
const MOST_PPM: u64 = 1_500_000;

/// A mean that forgets.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    value: u64,
    count: u32,
}

impl Mean {
    fn with(self, value: u64) -> Self {
        let count = self.count.saturating_add(1).min(WEIGHT);
        let (old, share) = (i128::from(self.value), i128::from(count));
        let mean = old + (i128::from(value) - old) / share;
        Self { value: u64::try_from(mean).unwrap_or_default(), count }
    }
}

/// What is known by now. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Learnt {
    factors: Cache<(TenantId, String), Mean>,
    outputs: Cache<(TenantId, AgentId, String), Mean>,
}

impl Default for Learnt {
    fn default() -> Self {
        Self { factors: Cache::new(MODELS), outputs: Cache::new(AGENTS) }
    }
}

impl Learnt {
    /// Tokens of this model per token of o200k in millionths, of which `begun` is what they were taken for at first.
    pub(crate) fn factor_ppm(&self, ctx: &CallContext, model: &str, begun: u32) -> u32 {
        self.factors
            .get(&(ctx.tenant, model.to_owned()))
            .and_then(|mean| u32::try_from(mean.value).ok())
            .unwrap_or(begun)
    }

    /// How long this agent's answers from this model are, in tokens.
    pub(crate) fn output_tokens(&self, ctx: &CallContext, model: &str) -> Option<u64> {
        self.outputs.get(&(ctx.tenant, ctx.agent, model.to_owned())).map(|mean| mean.value)
    }

    /// Takes note of a call that was answered whole. `text`: what its text had in tokens of o200k and what it came to, if that
    /// can be told.
    pub(crate) fn settled(&self, ctx: &CallContext, model: &str, begun: u32, text: Option<(u64, u64)>, output: u64) {
        let key = (ctx.tenant, ctx.agent, model.to_owned());
        let output = self.outputs.get(&key).unwrap_or_default().with(output);
        self.outputs.insert(key, output);
        let Some((raw, told)) = text.filter(|(raw, _)| *raw >= TELLING_TOKENS) else { return };
        let told = u128::from(told) * 1_000_000 / u128::from(raw);
        let bound = |ppm: u64| u64::from(begun) * ppm / 1_000_000;
        let told = u64::try_from(told).unwrap_or(u64::MAX).clamp(bound(LEAST_PPM), bound(MOST_PPM));
        let key = (ctx.tenant, model.to_owned());
        let factor = self.factors.get(&key).unwrap_or_default().with(told);
        self.factors.insert(key, factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limiter::tests::of;

    fn ctx() -> CallContext {
        of(TenantId::new())
    }

    #[test]
    fn a_factor_follows_what_is_told_within_its_bounds() {
        let (learnt, ctx) = (Learnt::default(), ctx());
        assert_eq!(learnt.factor_ppm(&ctx, "m", 1_350_000), 1_350_000);
        learnt.settled(&ctx, "m", 1_350_000, Some((1000, 1100)), 5);
        assert_eq!(learnt.factor_ppm(&ctx, "m", 1_350_000), 1_100_000, "the first is all there is");
        learnt.settled(&ctx, "m", 1_350_000, Some((1000, 1300)), 5);
        assert_eq!(learnt.factor_ppm(&ctx, "m", 1_350_000), 1_200_000);
        learnt.settled(&ctx, "m", 1_350_000, Some((100, 900)), 5);
        learnt.settled(&ctx, "m", 1_350_000, None, 5);
        assert_eq!(learnt.factor_ppm(&ctx, "m", 1_350_000), 1_200_000, "short ones and pictures tell nothing");
        for _ in 0..1000 {
            learnt.settled(&ctx, "m", 1_350_000, Some((1000, u64::MAX / 2)), 5);
        }
        let most = learnt.factor_ppm(&ctx, "m", 1_350_000);
        assert!((2_000_000..=2_025_000).contains(&most), "{most}: however much is told");
        for _ in 0..1000 {
            learnt.settled(&ctx, "m", 1_350_000, Some((1000, 0)), 5);
        }
        let least = learnt.factor_ppm(&ctx, "m", 1_350_000);
        assert!((675_000..700_000).contains(&least), "{least}");
        assert_eq!(learnt.factor_ppm(&ctx, "other", 1_350_000), 1_350_000);
        assert_eq!(learnt.factor_ppm(&of(TenantId::new()), "m", 1_350_000), 1_350_000, "another tenant's is its own");
    }

    #[test]
    fn answers_are_each_agents_own() {
        let (learnt, one, other) = (Learnt::default(), ctx(), ctx());
        assert_eq!(learnt.output_tokens(&one, "m"), None);
        learnt.settled(&one, "m", 1_000_000, None, 100);
        learnt.settled(&one, "m", 1_000_000, None, 300);
        assert_eq!(learnt.output_tokens(&one, "m"), Some(200));
        for _ in 0..200 {
            learnt.settled(&one, "m", 1_000_000, None, 1000);
        }
        assert!(learnt.output_tokens(&one, "m").is_some_and(|tokens| tokens > 950), "the old is forgotten");
        assert_eq!((learnt.output_tokens(&other, "m"), learnt.output_tokens(&one, "n")), (None, None));
    }
}
