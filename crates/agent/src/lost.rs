//! Model calls whose end nobody saw.
//!
//! Their owner died, or let go of them. Such a call is charged for what the log proves was streamed, and said to be an
//! estimate; one that the log does not know of, for all that was set aside for it. Never forgotten.

use headwater_llm::{has_own_key, prices};
use headwater_protocol::event::EventBody;
use headwater_protocol::fold::Fold;
use headwater_protocol::{ModelCallId, Money, TenantId, Timestamp, Usage};
use headwater_store::commit::UsageWrite;
use headwater_store::scoped::{Author, Left, LeftReservation};

use crate::runtime::AgentRuntime;
use crate::step::counts;

/// What a run has used and cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) usage: Usage,
    /// `None` once a call had no price.
    pub(crate) cost: Option<Money>,
    /// Whether some of it is an estimate.
    pub(crate) estimated: bool,
}

impl Totals {
    /// Counts what somebody else has spent for the run.
    pub(crate) fn add(&mut self, usage: Usage, cost: Option<Money>) {
        self.usage = self.usage.plus(usage);
        self.cost = self.cost.zip(cost).map(|(sum, more)| sum.plus(more));
    }
}

/// Settles the calls that the log announces and does not settle, and those for which money is set aside and of which it knows
/// nothing, and adds them to the totals. `outcome`: as the ledger calls it; `left`: what is set aside for calls of the run.
pub(crate) async fn settle(
    runtime: &AgentRuntime,
    tenant: TenantId,
    author: Author,
    fold: &Fold,
    outcome: &'static str,
    left: &Left,
    totals: &mut Totals,
) -> (Vec<EventBody>, Vec<UsageWrite>) {
    let (mut events, mut rows) = (Vec::new(), Vec::new());
    let (parts, llm) = (&runtime.inner.parts, &runtime.inner.parts.llm);
    // Asked anew only where there is something to pay; what was known last will do.
    let terms = match fold.unsettled.is_empty() {
        true => Default::default(),
        false => Box::pin(parts.terms.of(tenant)).await.unwrap_or_else(|_| parts.terms.last_known(tenant)),
    };
    let keys = match fold.unsettled.is_empty() {
        true => None,
        false => Box::pin(parts.vault.provider_keys(tenant, |provider| llm.provider_host(provider))).await.ok(),
    };
    let open = fold.open.as_ref();
    let text = open.map(|open| open.text.as_str()).unwrap_or_default();
    let thought = open.and_then(|open| open.reasoning.as_deref()).unwrap_or_default();
    let step = fold.open_step.unwrap_or(1);
    for lost in &fold.unsettled {
        // A provider that keeps its answers goes on with one that nobody reads: it is stopped, and says what it used.
        let told = match (&lost.response, &keys) {
            (Some(response), Some(keys)) => Box::pin(llm.stop(keys, &lost.model, response)).await,
            _ => None,
        };
        let reasoning_tokens = if thought.is_empty() { 0 } else { llm.estimator().count(&lost.model, thought).await };
        let text_tokens = if text.is_empty() { 0 } else { llm.estimator().count(&lost.model, text).await };
        let mut output_tokens = text_tokens + reasoning_tokens;
        for call in open.into_iter().flat_map(|open| &open.calls) {
            for text in [&call.name, &call.text] {
                output_tokens += llm.estimator().count(&lost.model, text).await;
            }
        }
        let counted = Usage {
            input_tokens: lost.input_tokens,
            output_tokens,
            reasoning_tokens,
            total_tokens: lost.input_tokens + output_tokens,
            ..Usage::default()
        };
        let usage = told.unwrap_or(counted);
        let own_key = keys.as_ref().is_some_and(|keys| has_own_key(keys, &lost.model));
        let price = llm.charged(&terms.prices, &lost.model, own_key, usage.input_tokens);
        let cost = price.map(|price| prices::cost(&usage, &price));
        let (usage, cost) = match left.calls.iter().find(|left| left.model_call == lost.model_call) {
            _ if told.is_some() => (usage, cost),
            // It may go on there to its end, and be paid for.
            Some(left) if llm.keeps(&lost.model) => (usage, Some(left.amount)),
            None if !left.covered && llm.keeps(&lost.model) => (usage, lost.reserve.or(cost)),
            // What we count may be more than it was: it is no more than it can have been.
            Some(left) => (usage, cost.map(|cost| cost.min(left.amount))),
            // No call is made here without money, and for this one there was none yet.
            None if left.covered => (Usage::default(), Some(Money::ZERO)),
            None => (usage, cost),
        };
        totals.add(usage, cost);
        let estimated = told.is_none();
        totals.estimated |= estimated;
        events.push(EventBody::CostSettled {
            step,
            model_call: lost.model_call,
            model: lost.model.clone(),
            usage,
            cost,
            estimated,
            run_cost: totals.cost,
        });
        let line = row(author, lost.model_call, step, &lost.model, usage, cost, lost.expected, outcome);
        rows.push(UsageWrite { estimated, ..line });
    }
    let announced = |left: &&LeftReservation| fold.unsettled.iter().all(|lost| lost.model_call != left.model_call);
    for left in left.calls.iter().filter(announced) {
        // It may have been made, and nobody knows what it used: all that was set aside counts.
        let usage = Usage::default();
        totals.add(usage, Some(left.amount));
        totals.estimated = true;
        events.push(EventBody::CostSettled {
            step: left.step,
            model_call: left.model_call,
            model: left.model.clone(),
            usage,
            cost: Some(left.amount),
            estimated: true,
            run_cost: totals.cost,
        });
        let cost = Some(left.amount);
        rows.push(row(author, left.model_call, left.step, &left.model, usage, cost, None, outcome));
    }
    (events, rows)
}

/// A line of the ledger for a call whose end nobody saw.
#[expect(clippy::too_many_arguments, reason = "the columns of a row")]
fn row(
    author: Author,
    model_call: ModelCallId,
    step: i32,
    model: &str,
    usage: Usage,
    cost: Option<Money>,
    expected: Option<Money>,
    outcome: &'static str,
) -> UsageWrite {
    UsageWrite {
        model_call: model_call.uuid(),
        step,
        user_id: author.user.uuid(),
        agent_id: author.agent.uuid(),
        model: model.to_owned(),
        usage: counts(usage),
        cost_nano_usd: cost.map(|cost| cost.0),
        expected_nano_usd: expected.map(|cost| cost.0),
        estimated: true,
        outcome,
        attempt: 1,
        queued_ms: 0,
        first_token_ms: None,
        duration_ms: 0,
        settled_at: Timestamp::now().0,
        reserve_nano_usd: None,
        error: None,
    }
}
