//! A call can be cancelled or dropped at any await: permits and reservations come back, connections close.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use headwater_llm::{GatewayLlmService, GatewayOptions, LlmEvent, Outcome};
use headwater_testkit::model::{ModelServer, Reply};

use crate::support::*;

fn one_place(model: &ModelServer, book: &Book) -> GatewayLlmService {
    let ledger = Arc::new(book.clone());
    service(GatewayOptions { max_concurrent: 1, ledger, ..options([("openai", model.base_url())]) })
}

fn in_use(gateway: &GatewayLlmService) -> (usize, usize) {
    let limiter = gateway.limiter("openai").expect("it is configured");
    (limiter.in_use(), limiter.waiting())
}

#[tokio::test]
async fn cancelled_in_the_middle_it_is_settled_and_ends_in_silence() {
    let (reply, gate) = Reply::tokens(9).gate();
    let (model, book) = (ModelServer::start(reply), Book::default());
    let gateway = one_place(&model, &book);
    let ctx = ctx();
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
    assert_eq!(book.lines(), ["reserved", "settled cancelled"]);
}

#[tokio::test]
async fn cancelled_before_the_first_token() {
    let (reply, _gate) = Reply::tokens(9).gate();
    let (model, book) = (ModelServer::start(reply), Book::default());
    let gateway = one_place(&model, &book);
    let ctx = ctx();
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
    let gateway = one_place(&model, &book);
    let ctx = ctx();
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
    assert_eq!(book.lines(), ["reserved", "settled cancelled"]);
}

#[tokio::test]
async fn cancelled_from_the_start_nobody_is_asked() {
    let (model, book) = (ModelServer::start(Reply::text("x")), Book::default());
    let ctx = ctx();
    ctx.cancel.cancel();
    let told = read(one_place(&model, &book).stream(ctx, ask())).await;
    assert_eq!((told.events.len(), told.error), (0, None));
    assert_eq!((model.requests().len(), book.lines().len()), (0, 0));
}

#[tokio::test]
async fn cancelled_in_the_queue_the_place_in_it_is_free() {
    let (reply, gate) = Reply::tokens(2).gate();
    let (model, book) = (ModelServer::start([reply, Reply::text("third")]), Book::default());
    let gateway = one_place(&model, &book);
    gate.pass(1);
    let first = read_until(Box::pin(gateway.stream(ctx(), ask())), " tok0").await;

    let (second_ctx, third_ctx) = (ctx(), ctx());
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
    let gateway = one_place(&model, &book);
    let ctx = ctx();
    let mut open = Box::pin(gateway.stream(ctx.clone(), ask()));
    loop {
        match open.next().await {
            Some(Ok(LlmEvent::Throttled { wait_ms, queue_pos, reason })) => {
                assert_eq!((wait_ms, queue_pos, reason), (25_000, 0, "provider"));
                break;
            }
            Some(Ok(LlmEvent::Estimated(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(open.next().now_or_never().is_none(), "it waits for the provider");
    assert_eq!(in_use(&gateway), (0, 0), "while it waits it holds no place");
    assert_eq!(book.lines(), ["reserved", "released"]);
    ctx.cancel.cancel();
    assert_eq!(open.next().await, None);
}

#[tokio::test]
async fn dropped_at_any_item_everything_comes_back() {
    let (model, book) =
        (ModelServer::start(headwater_testkit::model::Script::always(Reply::tokens(4).delay_each(1))), Book::default());
    let gateway = one_place(&model, &book);
    for items in 0..8 {
        let mut open = Box::pin(gateway.stream(ctx(), ask()));
        for _ in 0..items {
            // Tokens may come joined, so the last rounds may see the end.
            assert!(open.next().await.is_none_or(|item| item.is_ok()), "{items}");
        }
        // And in the middle of waiting for the next item, if there is something to wait for.
        let _ = open.next().now_or_never();
        drop(open);
        assert_eq!(in_use(&gateway), (0, 0), "{items}");
    }
    let lines = book.lines();
    let reserved = lines.iter().filter(|line| **line == "reserved").count();
    assert_eq!(lines.len(), 2 * reserved, "each reservation was settled or released: {lines:?}");
}
