//! One call, from its estimate to its end.
//!
//! Owns the loop over models and attempts. It reads top to bottom in the order that it promises: estimate → permit → reserve
//! → call → stream → settle → again, elsewhere, or done. Never holds a permit or a reservation while it waits to try again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use headwater_protocol::api::Timeouts;
use headwater_protocol::{ErrorCode, ModelCallId, Problem};
use tokio::pin;
use tokio::time::{Instant, sleep};

use super::metered::Metered;
use super::pace::{Raced, later, ms, race, unless};
use super::reading::{Closed, End, Read, Reader, Reading};
use super::{Gateway, own_key};
use crate::estimate::{Estimated, queue_cost};
use crate::event::{LlmEvent, Outcome};
use crate::failure::Failure;
use crate::ledger::{Grant, Granted, Reservation, Wanted};
use crate::limiter::{Entry, Permit, Turned};
use crate::provider::Ask;
use crate::request::{CallContext, ModelRequest};
use crate::retry::{Attempts, Next};

/// A wait that is over sooner is not worth an event.
const UNTOLD_WAIT: Duration = Duration::from_millis(250);
/// At most one event of a wait in this time.
const BETWEEN_NOTICES: Duration = Duration::from_secs(1);

/// How long a call waits at first for money that others have set aside.
const FIRST_MONEY_PAUSE: Duration = Duration::from_millis(50);

pub(super) fn stream(
    gateway: Arc<Gateway>,
    ctx: CallContext,
    mut request: ModelRequest,
) -> impl Stream<Item = Result<LlmEvent, Problem>> + Send {
    async_stream::stream! {
        let timeouts = request.timeouts;
        let cancelled = ctx.cancel.clone().cancelled_owned();
        pin!(cancelled);
        let timer = sleep(Duration::ZERO);
        pin!(timer);
        let mut throttle = Throttle { told: None };
        let mut money_pause = FIRST_MONEY_PAUSE;
        let mut queue_left = Duration::from_millis(request.max_queue_ms);
        // Moved by the time spent in queues, which has a bound of its own.
        let mut deadline: Option<Instant> = None;
        let mut attempt = 0;
        let mut last: Option<Problem> = None;

        let mut choices = choices(&request).into_iter();
        'models: while let Some(Choice { model, max_output_tokens: asked }) = choices.next() {
            let model = model.as_str();
            let own_key = match own_key(&ctx.keys, model) {
                Ok(key) => key,
                Err(failure) => {
                    last = Some(failure.problem);
                    continue 'models;
                }
            };
            let (registered, model_id) = match gateway.find(model) {
                Ok(found) => found,
                // A fallback that does not exist must not hide why it was needed.
                Err(_) if last.is_some() => continue 'models,
                Err(problem) => {
                    yield Err(problem);
                    return;
                }
            };

            let mut shown = request.messages.iter().flat_map(|message| &message.attachments);
            if last.is_some() && !shown.all(|attachment| gateway.takes(model, &attachment.shown)) {
                continue 'models;
            }

            // Estimate.
            // Boxed, as is what follows: an answer that is being read takes no place for how it was asked for.
            let estimating = Box::pin(gateway.estimator.estimate(&ctx, model, asked, &request));
            let Some(Estimated { mut estimate, max_output_tokens, priced, queue_cost: counts, raw }) = unless(cancelled.as_mut(), estimating).await else {
                return;
            };
            let bounds = priced.map(|priced| priced.bounds(max_output_tokens));
            let ask = Ask { model_id, request: &request, max_output_tokens, input_tokens: estimate.input_tokens };
            let mut prepared = match registered.provider.prepare(ask) {
                Ok(prepared) => Some(prepared),
                Err(_) if last.is_some() => continue 'models,
                Err(problem) => {
                    yield Err(problem);
                    return;
                }
            };
            let price_at = |tokens| gateway.prices.charged(&ctx.prices, model, own_key.is_some(), tokens);
            let lane = gateway.lane(registered, model, own_key.map(|_| ctx.tenant));
            let mut attempts = Attempts::new(gateway.retry);
            let mut is_told = false;

            while let Some(question) = &prepared {
                attempt += 1;
                estimate.attempt = attempt;
                if !is_told {
                    yield Ok(LlmEvent::Estimated(estimate.clone()));
                    is_told = true;
                }

                // Permit.
                let entered = Instant::now();
                let got = match lane.enter(&ctx, counts, queue_left) {
                    Err(turned) => Err(turned.into()),
                    Ok(Entry::Granted(permit)) => Ok(permit),
                    Ok(Entry::Waiting(mut ticket)) => {
                        let give_up = later(entered, ms(queue_left));
                        let mut notice = throttle.next(entered);
                        loop {
                            let wake = ticket.paused_until().into_iter().fold(notice.min(give_up), Instant::min);
                            timer.as_mut().reset(wake);
                            match race(cancelled.as_mut(), timer.as_mut(), &mut ticket).await {
                                Raced::Done(outcome) => break outcome.map_err(NotAsked::from),
                                Raced::Cancelled => return,
                                Raced::TimedOut => {}
                            }
                            let now = Instant::now();
                            if now >= give_up {
                                break Err(NotAsked::InTime);
                            }
                            lane.nudge();
                            if now >= notice
                                && let Some(standing) = ticket.standing()
                            {
                                notice = throttle.tell();
                                let reason = if standing.paused.is_some() { "provider" } else { "concurrency" };
                                yield Ok(LlmEvent::Throttled {
                                    wait_ms: standing.wait_ms,
                                    queue_pos: standing.position,
                                    reason,
                                });
                            }
                        }
                    }
                };
                let queued = entered.elapsed();
                queue_left = queue_left.saturating_sub(queued);
                let until = match deadline {
                    Some(until) => until + queued,
                    None => later(Instant::now(), timeouts.total_ms),
                };
                deadline = Some(until);
                let mut permit = match got {
                    Ok(permit) => permit,
                    Err(not_asked) => {
                        attempt -= 1;
                        let failure = not_asked.failure(request.max_queue_ms);
                        let next = attempts.next(&failure, false, until.saturating_duration_since(Instant::now()));
                        // Why it had to wait says more than that it waited too long.
                        if !matches!(&last, Some(known) if known.code == ErrorCode::ProviderRateLimited) {
                            last = Some(failure.problem);
                        }
                        match next {
                            Next::Again(delay) => {
                                if unless(cancelled.as_mut(), sleep(delay)).await.is_none() {
                                    return;
                                }
                                continue;
                            }
                            Next::OtherModel => continue 'models,
                            Next::GiveUp => break 'models,
                        }
                    }
                };

                // Reserve.
                let wanted = Wanted { estimate: &estimate, bounds, own_key: own_key.is_some() };
                let reserving = Box::pin(ctx.ledger.reserve(wanted));
                let (mut reservation, set_aside, shorter) = match unless(cancelled.as_mut(), reserving).await {
                    None => return,
                    Some(Ok(Grant::Open)) => (Reservation::open(), None, None),
                    Some(Ok(Grant::Granted(granted))) => {
                        let Granted { reservation, amount, strict, warnings } = granted;
                        for warning in warnings {
                            yield Ok(LlmEvent::BudgetWarning(warning));
                        }
                        let shorter = priced.map(|priced| priced.affords(amount, strict, max_output_tokens));
                        (reservation, bounds.map(|_| amount), shorter)
                    }
                    Some(Ok(Grant::Busy)) => {
                        // Whoever waits for money keeps no place from those who have some.
                        drop(permit);
                        if queue_left.is_zero() {
                            yield Err(no_money_in_time(request.max_queue_ms));
                            return;
                        }
                        let pause = money_pause.min(queue_left);
                        money_pause = (money_pause * 2).min(BETWEEN_NOTICES);
                        if throttle.may_tell() {
                            throttle.tell();
                            yield Ok(LlmEvent::Throttled { wait_ms: ms(pause), queue_pos: 0, reason: "budget" });
                        }
                        if unless(cancelled.as_mut(), sleep(pause)).await.is_none() {
                            return;
                        }
                        queue_left = queue_left.saturating_sub(pause);
                        deadline = Some(until + pause);
                        attempt -= 1;
                        continue;
                    }
                    Some(Err(problem)) => {
                        yield Err(problem);
                        return;
                    }
                };
                let is_reserved = reservation.is_held();
                // The answer is as long as there is money for.
                let input_tokens = estimate.input_tokens;
                let ask = |tokens| Ask { model_id, request: &request, max_output_tokens: tokens, input_tokens };
                let shorter = shorter.filter(|tokens| *tokens < max_output_tokens);
                let shorter = shorter.map(|tokens| registered.provider.prepare(ask(tokens))).transpose();
                let shorter = match shorter {
                    Ok(shorter) => shorter,
                    Err(problem) => {
                        reservation.release().await;
                        yield Err(problem);
                        return;
                    }
                };
                let question = shorter.as_ref().unwrap_or(question);

                // Call.
                reservation.sent();
                let sent = Instant::now();
                let opening = Box::pin(registered.provider.open(question, own_key, &timeouts, until));
                let (failure, forwarded, charged) = match unless(cancelled.as_mut(), opening).await {
                    None => {
                        // The provider has the question, and may have begun to answer it: what it read is paid for.
                        let metered = Metered::new(sent, ms(queued));
                        let settlement = metered
                            .settle(None, Outcome::Cancelled, &estimate, &gateway.estimator, price_at)
                            .await
                            .within(set_aside);
                        // One that is kept goes on, under a name that nobody knows.
                        let keeps = registered.provider.keeps();
                        let settlement = if keeps { settlement.unread(set_aside) } else { settlement };
                        gateway.labels(model).settled(&settlement, is_reserved);
                        drop((reservation, permit));
                        yield Ok(LlmEvent::Settled(settlement));
                        return;
                    }
                    Some(Err(failure)) => {
                        tell(permit, &failure, &timeouts, gateway.retry.max_hint);
                        gateway.labels(model).refused(&failure);
                        // Refused, or never received: nobody pays for it. Before it is asked again, under the same id.
                        reservation.release().await;
                        let failure = if own_key.is_some() { failure.with_own_key() } else { failure };
                        (failure, false, false)
                    }
                    Some(Ok((answer, pause))) => {
                        permit.answered(pause.map(|pause| pause.min(gateway.retry.max_hint)));
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
                        let mut reading = Reading::new(reader, answer, ms(queued), timer.as_mut());
                        let end = loop {
                            match reading.next(cancelled.as_mut(), timer.as_mut()).await {
                                Read::Told { event, first } => {
                                    if first {
                                        permit.first_token(sent.elapsed());
                                        // From here on it is not asked again, however it ends.
                                        prepared = None;
                                        request.let_go();
                                    }
                                    yield Ok(event);
                                }
                                Read::End(end) => break end,
                            }
                        };

                        // Settle.
                        let forwarded = reading.has_begun();
                        let Closed { metered, told, unread } = reading.close(&end).await;
                        let settlement =
                            metered.settle(told, end.outcome(), &estimate, &gateway.estimator, price_at).await;
                        let mut settlement = settlement.within(set_aside);
                        if unread {
                            settlement = settlement.unread(set_aside);
                        }
                        if let End::Failed(failure) = &end {
                            settlement.error = Some(Box::new(failure.problem.clone()));
                        }
                        if !settlement.estimated {
                            gateway.estimator.settled(&ctx, model, raw, settlement.usage);
                        }
                        let listed = gateway.prices.facts(model).and_then(|facts| facts.price_at(settlement.usage.input_tokens));
                        permit.spent(queue_cost(listed.as_ref(), &settlement.usage), matches!(end, End::Finished(_)));
                        match &end {
                            End::Failed(failure) if !forwarded => {
                                tell(permit, failure, &timeouts, gateway.retry.max_hint);
                            }
                            End::Failed(_) | End::Finished(_) | End::Cancelled => drop(permit),
                        }
                        drop(reservation);
                        gateway.labels(model).settled(&settlement, is_reserved);
                        yield Ok(LlmEvent::Settled(settlement));
                        match end {
                            End::Finished(finish_reason) => {
                                yield Ok(LlmEvent::Finished { finish_reason });
                                return;
                            }
                            End::Cancelled => return,
                            End::Failed(failure) => (failure, forwarded, true),
                        }
                    }
                };

                // Again, elsewhere, or done.
                let left = until.saturating_duration_since(Instant::now());
                // A provider that is asked too much is asked again as long as the call would wait, if there is no other: the
                // limiter says when.
                let next = if failure.overloaded && !charged && choices.as_slice().is_empty() {
                    let hint = failure.retry_after.unwrap_or_default();
                    let is_in_time = hint < queue_left.min(left) && hint <= gateway.retry.max_hint;
                    if is_in_time { Next::Again(Duration::ZERO) } else { Next::GiveUp }
                } else {
                    attempts.next(&failure, forwarded, left)
                };
                if next != Next::GiveUp {
                    tracing::warn!(
                        run.id = %ctx.run, tenant.id = %ctx.tenant, gen_ai.request.model = model, attempt,
                        code = failure.problem.code.as_str(), ?next, "model call failed, going on"
                    );
                }
                last = Some(failure.problem);
                match next {
                    Next::Again(delay) => {
                        if delay >= UNTOLD_WAIT && throttle.may_tell() {
                            throttle.tell();
                            yield Ok(LlmEvent::Throttled { wait_ms: ms(delay), queue_pos: 0, reason: "provider" });
                        }
                        if unless(cancelled.as_mut(), sleep(delay)).await.is_none() {
                            return;
                        }
                        // What was set aside under an id is settled, if only as given back.
                        if charged || is_reserved {
                            estimate.model_call = ModelCallId::new();
                            is_told = false;
                        }
                    }
                    Next::OtherModel => continue 'models,
                    Next::GiveUp => break 'models,
                }
            }
        }
        let nothing = || Problem::new(ErrorCode::Internal, "a call ended without a result");
        yield Err(last.unwrap_or_else(nothing));
    }
}

/// Why a call did not come to ask.
enum NotAsked {
    InTime,
    Turned(Turned),
}

impl From<Turned> for NotAsked {
    fn from(turned: Turned) -> Self {
        Self::Turned(turned)
    }
}

impl NotAsked {
    fn failure(self, max_queue_ms: u64) -> Failure {
        match self {
            Self::InTime => Failure::not_asked(queue_timeout(max_queue_ms)),
            Self::Turned(turned @ Turned::Down(_)) => {
                Failure { retry: true, ..Failure::not_asked(turned.problem(max_queue_ms)) }
            }
            Self::Turned(turned) => Failure::not_asked(turned.problem(max_queue_ms)),
        }
    }
}

/// Gives a permit back with what the limiter learns from a failure before the first token.
fn tell(permit: Permit, failure: &Failure, timeouts: &Timeouts, max_hint: Duration) {
    if failure.overloaded {
        permit.refused(failure.retry_after.map(|hint| hint.min(max_hint)));
    } else if is_down(failure, timeouts) {
        permit.failed();
    } else if failure.problem.extra.contains_key("provider_status") && !failure.retry {
        permit.rejected();
    }
}

/// Whether the provider itself is in trouble, as others will find too. Somebody's short timeouts say nothing about it.
fn is_down(failure: &Failure, timeouts: &Timeouts) -> bool {
    let usual = Timeouts::default();
    let is_patient = timeouts.connect_ms >= usual.connect_ms
        && timeouts.headers_ms >= usual.headers_ms
        && timeouts.first_token_ms >= usual.first_token_ms
        && timeouts.total_ms >= usual.total_ms;
    let code = failure.problem.code;
    code == ErrorCode::ProviderUnavailable || code == ErrorCode::ProviderTimeout && is_patient
}

struct Choice {
    model: String,
    max_output_tokens: Option<u32>,
}

/// The models of a request in their order.
fn choices(request: &ModelRequest) -> Vec<Choice> {
    let first = Choice { model: request.model.clone(), max_output_tokens: request.max_output_tokens };
    let others = request.fallbacks.iter().map(|fallback| Choice {
        model: fallback.model.clone(),
        max_output_tokens: fallback.max_output_tokens.or(request.max_output_tokens),
    });
    std::iter::once(first).chain(others).collect()
}

/// Keeps notices of waiting rare.
struct Throttle {
    told: Option<Instant>,
}

impl Throttle {
    /// When the next notice may be given, for a wait that begins now.
    fn next(&self, now: Instant) -> Instant {
        let soon = now + UNTOLD_WAIT;
        self.told.map_or(soon, |told| soon.max(told + BETWEEN_NOTICES))
    }

    fn may_tell(&self) -> bool {
        self.told.is_none_or(|told| told.elapsed() >= BETWEEN_NOTICES)
    }

    /// A notice is given now; says when the next one may be.
    fn tell(&mut self) -> Instant {
        let now = Instant::now();
        self.told = Some(now);
        now + BETWEEN_NOTICES
    }
}

fn no_money_in_time(max_queue_ms: u64) -> Problem {
    let words = format!("what other calls have set aside of a budget did not come free within {max_queue_ms} ms");
    Problem::new(ErrorCode::QueueTimeout, words)
}

fn queue_timeout(max_queue_ms: u64) -> Problem {
    Problem::new(ErrorCode::QueueTimeout, format!("no place at the provider became free within {max_queue_ms} ms"))
}
