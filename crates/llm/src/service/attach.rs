//! Going on with an answer that another process asked for.
//!
//! Owns the way of one such call: found, read from its beginning, settled under its old id. Promises that nothing is asked for
//! anew, so nothing is paid twice. No permit is taken: the answer has its place at the provider already. Never reserves.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{Money, Problem};
use tokio::pin;
use tokio::time::{Instant, sleep};

use super::pace::{later, unless};
use super::reading::{Closed, End, Read, Reader, Reading};
use super::{Gateway, own_key};
use crate::event::{Estimate, LlmEvent};
use crate::failure::Failure;
use crate::request::CallContext;
use crate::retry::{Attempts, Next};

/// An answer that its provider keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// The call, as it was estimated.
    pub estimate: Estimate,
    /// The provider's id of the answer.
    pub response: String,
    /// What is set aside for it.
    pub set_aside: Option<Money>,
    /// Whether the model was offered tools.
    pub offers_tools: bool,
    /// How long each phase may take, counted from now.
    pub timeouts: Timeouts,
}

pub(super) fn stream(
    gateway: Arc<Gateway>,
    ctx: CallContext,
    attach: Attach,
) -> impl Stream<Item = Result<LlmEvent, Problem>> + Send {
    async_stream::stream! {
        let Attach { estimate, response, set_aside, offers_tools, timeouts } = attach;
        let model = estimate.model.as_str();
        let cancelled = ctx.cancel.clone().cancelled_owned();
        pin!(cancelled);
        let timer = sleep(Duration::ZERO);
        pin!(timer);
        let own_key = match own_key(&ctx.keys, model) {
            Ok(key) => key,
            Err(failure) => {
                yield Err(failure.problem);
                return;
            }
        };
        let registered = match gateway.find(model) {
            Ok((registered, _)) => registered,
            Err(problem) => {
                yield Err(problem);
                return;
            }
        };
        let sent = Instant::now();
        let until = later(sent, timeouts.total_ms);

        // Find.
        let mut attempts = Attempts::new(gateway.retry);
        let answer = loop {
            let opening = Box::pin(registered.provider.fetch(&response, offers_tools, own_key, &timeouts, until));
            let failure: Failure = match unless(cancelled.as_mut(), opening).await {
                None => return,
                Some(Ok(answer)) => break answer,
                Some(Err(failure)) => failure,
            };
            match attempts.next(&failure, false, until.saturating_duration_since(Instant::now())) {
                Next::Again(delay) => {
                    if unless(cancelled.as_mut(), sleep(delay)).await.is_none() {
                        return;
                    }
                }
                Next::OtherModel | Next::GiveUp => {
                    yield Err(failure.problem);
                    return;
                }
            }
        };

        // Stream.
        let reader = Reader {
            provider: &registered.provider,
            own_key,
            model_call: estimate.model_call,
            model,
            timeouts,
            sent,
            until,
            retry: gateway.retry,
            ledger: &*ctx.ledger,
        };
        let mut reading = Reading::new(reader, answer, 0, timer.as_mut());
        let end = loop {
            match reading.next(cancelled.as_mut(), timer.as_mut()).await {
                Read::Told { event: LlmEvent::Kept { .. }, .. } => {}
                Read::Told { event, .. } => yield Ok(event),
                Read::End(end) => break end,
            }
        };

        // Settle.
        let Closed { metered, told, unread } = reading.close(&end).await;
        let price_at = |tokens| gateway.prices.charged(&ctx.prices, model, own_key.is_some(), tokens);
        let settlement = metered.settle(told, end.outcome(), &estimate, &gateway.estimator, price_at).await;
        let mut settlement = settlement.within(set_aside);
        if unread {
            settlement = settlement.unread(set_aside);
        }
        if let End::Failed(failure) = &end {
            settlement.error = Some(Box::new(failure.problem.clone()));
        }
        gateway.labels(model).settled(&settlement, set_aside.is_some());
        yield Ok(LlmEvent::Settled(settlement));
        match end {
            End::Finished(finish_reason) => yield Ok(LlmEvent::Finished { finish_reason }),
            End::Cancelled => {}
            End::Failed(failure) => yield Err(failure.problem),
        }
    }
}
