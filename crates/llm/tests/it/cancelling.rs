//! A call can be cancelled or dropped at any await: permits and reservations come back, connections close.

use std::sync::Arc;
use std::task::Poll;

use futures_util::{FutureExt, StreamExt};
use headwater_llm::{GatewayLlmService, GatewayOptions, LlmEvent, Outcome};
use headwater_testkit::model::{ModelServer, Reply};

use crate::support::*;

fn one_place(model: &ModelServer) -> GatewayLlmService {
    service(GatewayOptions { max_concurrent: 1, ..options([("openai", model.base_url())]) })
}

fn in_use(gateway: &GatewayLlmService) -> (usize, usize) {
    let limiter = gateway.limiter("openai/gpt-4o", None).expect("it is configured");
    (limiter.in_use(), limiter.waiting())
}

#[tokio::test]
async fn cancelled_in_the_middle_it_is_settled_and_ends_in_silence() {
    let (reply, gate) = Reply::tokens(9).gate();
    let (model, book) = (ModelServer::start(reply), Book::default());
    let gateway = one_place(&model);
    let ctx = book.ctx();
    gate.pass(3);
    let open = read_until(Box::pin(gateway.stream(ctx.clone(), ask())), " tok0 tok1 tok2").await;
    ctx.cancel.cancel();
    let told = read(open).await;
    assert!(matches!(told.events[..], [LlmEvent::Settled(_)]), "{told:?}");
    assert_eq!(told.error, None);
    let settled = told.settlements()[0];
    assert_eq!((settled.outcome, settled.estimated), (Outcome::Cancelled, true));
    assert!(settled.usage.output_tokens >= 3 && settled.usage.input_tokens == 11);
    model.wait_for_aborts(1).await;
    assert_eq!(in_use(&gateway), (0, 0));
    assert_eq!(book.lines(), ["reserved", "kept"]);
}

#[tokio::test]
async fn cancelled_before_the_first_token() {
    let (reply, _gate) = Reply::tokens(9).gate();
    let (model, book) = (ModelServer::start(reply), Book::default());
    let gateway = one_place(&model);
    let ctx = book.ctx();
    let reading = read(gateway.stream(ctx.clone(), ask()));
    let cancelling = async {
        model.wait_for_requests(1).await;
        ctx.cancel.cancel();
    };
    let (told, ()) = tokio::join!(reading, cancelling);
    assert_eq!(told.error, None);
    // Whether the status line was read by then is a matter of microseconds; both ends are right.
    assert!(told.settlements().len() <= 1);
    model.wait_for_aborts(1).await;
    assert_eq!(in_use(&gateway), (0, 0));
}

#[tokio::test]
async fn cancelled_before_an_answer_the_question_is_settled() {
    let (model, book) = (ModelServer::start(Reply::never_headers()), Book::default());
    let gateway = one_place(&model);
    let ctx = book.ctx();
    let reading = read(gateway.stream(ctx.clone(), ask()));
    let cancelling = async {
        model.wait_for_requests(1).await;
        assert_eq!(in_use(&gateway), (1, 0));
        ctx.cancel.cancel();
    };
    let (told, ()) = tokio::join!(reading, cancelling);
    let [LlmEvent::Estimated(estimate), LlmEvent::Settled(settlement)] = &told.events[..] else { panic!("{told:?}") };
    // Nobody tells what a provider charges for a question whose asker has left; what it was asked it has read.
    assert_eq!((settlement.usage.input_tokens, settlement.usage.output_tokens), (estimate.input_tokens, 0));
    assert!(settlement.estimated && settlement.outcome == Outcome::Cancelled, "{settlement:?}");
    assert_eq!(told.error, None);
    model.wait_for_aborts(1).await;
    assert_eq!(in_use(&gateway), (0, 0));
    assert_eq!(book.lines(), ["reserved", "kept"]);
}

#[tokio::test]
async fn cancelled_from_the_start_nobody_is_asked() {
    let (model, book) = (ModelServer::start(Reply::text("x")), Book::default());
    let ctx = book.ctx();
    ctx.cancel.cancel();
    let told = read(one_place(&model).stream(ctx, ask())).await;
    assert_eq!((told.events.len(), told.error), (0, None));
    assert_eq!((model.requests().len(), book.lines().len()), (0, 0));
}

#[tokio::test]
async fn cancelled_in_the_queue_the_place_in_it_is_free() {
    let (reply, gate) = Reply::tokens(2).gate();
    let (model, book) = (ModelServer::start([reply, Reply::text("third")]), Book::default());
    let gateway = one_place(&model);
    gate.pass(1);
    let first = read_until(Box::pin(gateway.stream(book.ctx(), ask())), " tok0").await;

    let (second_ctx, third_ctx) = (book.ctx(), book.ctx());
    let mut second = Box::pin(gateway.stream(second_ctx.clone(), ask()));
    let mut third = Box::pin(gateway.stream(third_ctx, ask()));
    for call in [&mut second, &mut third] {
        assert!(matches!(call.next().await, Some(Ok(LlmEvent::Estimated(_)))));
        assert!(call.next().now_or_never().is_none(), "it waits");
    }
    assert_eq!(in_use(&gateway), (1, 2));
    second_ctx.cancel.cancel();
    assert_eq!(second.next().await, None);
    assert_eq!(in_use(&gateway), (1, 1));
    gate.open();
    assert_eq!(read(first).await.code(), "no error");
    assert_eq!(read(third).await.text(), "third");
    assert_eq!(in_use(&gateway), (0, 0));
}

#[tokio::test]
async fn cancelled_between_attempts_no_permit_is_held() {
    let (model, book) = (ModelServer::start(Reply::status(429).retry_after(25)), Book::default());
    let gateway = one_place(&model);
    let ctx = book.ctx();
    let mut open = Box::pin(gateway.stream(ctx.clone(), ask()));
    loop {
        match open.next().await {
            Some(Ok(LlmEvent::Throttled { wait_ms, queue_pos, reason })) => {
                assert!((20_000..=25_000).contains(&wait_ms), "{wait_ms}");
                assert_eq!((queue_pos, reason), (1, "provider"));
                break;
            }
            Some(Ok(LlmEvent::Estimated(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(open.next().now_or_never().is_none(), "it waits for the provider");
    assert_eq!(in_use(&gateway), (0, 1), "while it waits it holds no place");
    assert_eq!(book.lines(), ["reserved", "released"]);
    ctx.cancel.cancel();
    assert_eq!(open.next().await, None);
    assert_eq!(in_use(&gateway), (0, 0));
}

/// Dropped at each await in turn, between two polls, until a call gets through: whatever it waited for, its place is free, and
/// what was set aside is given back, or stays if the provider may have been asked.
#[tokio::test]
async fn dropped_at_every_await_everything_comes_back() {
    let reply = Reply::tokens(4).delay_each(1);
    let script = [Reply::status(500).retry_after_ms(1), reply.clone()];
    let book = Book { busy: Arc::new(1.into()), ..Book::default() };
    let mut points = 0;
    loop {
        let model = ModelServer::start(script.clone());
        let gateway = one_place(&model);
        book.busy.store(1, std::sync::atomic::Ordering::Relaxed);
        let mut open = Box::pin(gateway.stream(book.ctx(), ask()));
        let mut awaits = 0;
        let whole = std::future::poll_fn(|cx| {
            loop {
                match open.poll_next_unpin(cx) {
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Ready(Some(item)) => assert!(item.is_ok(), "{item:?}"),
                    Poll::Pending if awaits == points => return Poll::Ready(false),
                    Poll::Pending => {
                        awaits += 1;
                        return Poll::Pending;
                    }
                }
            }
        })
        .await;
        drop(open);
        assert_eq!(in_use(&gateway), (0, 0), "at await {points}");
        if whole {
            break;
        }
        points += 1;
    }
    assert!(points >= 8, "there is more to wait for than {points} times");
    let all = |lines: &[&str], word: &str| lines.iter().filter(|line| **line == word).count();
    for _ in 0..100 {
        // Giving back is a task of its own where nobody is left to wait for it.
        tokio::task::yield_now().await;
    }
    let lines = book.lines();
    let (reserved, kept, released) = (all(&lines, "reserved"), all(&lines, "kept"), all(&lines, "released"));
    assert_eq!(reserved, kept + released, "{lines:?}");
    assert!(kept > 0 && released > 0, "{lines:?}");
}
