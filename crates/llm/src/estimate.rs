//! What a call will cost, before it is made.
//!
//! Owns counting tokens and the two numbers `expected` and `reserve`. Promises that for models with a public vocabulary
//! `reserve` is an upper bound; that for all others it is bounded by the bytes of the text; and that no text holds up the
//! other calls of the process: long ones are counted on a thread for blocking work, and beyond [`MAX_COUNTED_BYTES`] a byte
//! counts as a token, which is the hard bound for every vocabulary made of bytes.
//! Never keeps the text it counted.

use std::sync::Arc;

use bpe_openai::Tokenizer;
use headwater_protocol::api::ModelPrice;
use headwater_protocol::message::Detail;
use headwater_protocol::{ModelCallId, Money, Usage};
use tokio::sync::OnceCell;

use crate::event::Estimate;
use crate::learnt::Learnt;
use crate::ledger::{Bounds, USEFUL_OUTPUT_TOKENS};
use crate::prices::{Prices, cost, dearest};
use crate::request::{Attachment, CallContext, ModelRequest, Shown, has_own_key};

/// Texts up to this many bytes together are counted in place, which takes at most a few milliseconds.
const IN_PLACE_BYTES: usize = 64 * 1024;
/// More than this of one call is not counted: each byte beyond it counts as a token.
pub const MAX_COUNTED_BYTES: usize = 16 * 1024 * 1024;
/// Tokens that the dialect adds to each message for its role and its borders, and to the whole for the answer's beginning.
const TOKENS_PER_MESSAGE: u64 = 4;
const TOKENS_PER_CALL: u64 = 3;
/// How long an answer is until something is learnt of the agent.
const EXPECTED_OUTPUT_TOKENS: u64 = 400;
/// The answer's limit for models about which nothing is known and of which nobody asked for another.
const FALLBACK_MAX_OUTPUT_TOKENS: u32 = 4096;
/// However full the window seems to be (our count is a guess for most models), this much room is left for an answer.
const MIN_OUTPUT_TOKENS: u64 = 1024;
const EXACT_PPM: u32 = 1_000_000;

/// What a picture costs: by OpenAI's rule for its models of 2024 and 2025, a glance 85 tokens, and in full 85 with 170 for each
/// of at most 8 squares of 512 pixels. Its size in pixels is not looked at: the largest counts.
const GLANCE_TOKENS: u64 = 85;
const PICTURE_TOKENS: u64 = 85 + 8 * 170;
/// What a PDF costs is not known before: a page is some tens of KB, and costs its words and a picture.
const PDF_BYTES_PER_TOKEN: u64 = 20;
/// What one is guessed to cost at most: pictures make a file large, and cost no more for that.
const PDF_TOKENS: u64 = 25_000;

/// What an attachment costs, as far as that can be guessed.
pub fn attachment_tokens(attachment: &Attachment) -> u64 {
    match attachment.shown {
        Shown::Image(Detail::Low) => GLANCE_TOKENS,
        Shown::Image(Detail::Auto | Detail::High) => PICTURE_TOKENS,
        Shown::File(_) => (PICTURE_TOKENS + attachment.size_bytes / PDF_BYTES_PER_TOKEN).min(PDF_TOKENS),
    }
}

/// Counts tokens and turns them into money.
#[derive(Debug)]
pub struct CostEstimator {
    prices: Arc<Prices>,
    learnt: Learnt,
    vocabulary: OnceCell<Vocabulary>,
}

/// The vocabulary o200k: about 65 MiB and 150 ms to load, so it waits for the first call.
#[derive(Clone, Copy)]
struct Vocabulary(&'static Tokenizer);

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("o200k")
    }
}

/// An estimate with what the request to the provider needs of it.
#[derive(Debug, Clone)]
pub(crate) struct Estimated {
    pub(crate) estimate: Estimate,
    pub(crate) max_output_tokens: u32,
    /// What the call can cost; `None` where nobody knows its price.
    pub(crate) priced: Option<Priced>,
    /// What it probably counts in the queue: see [`queue_cost`].
    pub(crate) queue_cost: u64,
    /// What goes in, if it is text alone.
    pub(crate) raw: Option<RawInput>,
}

/// What a call counts in the fair queue of its model: its money by the table where that is known, else its tokens, of which those that
/// come out take longer. Calls of one model share the unit.
pub(crate) fn queue_cost(listed: Option<&ModelPrice>, usage: &Usage) -> u64 {
    match listed.filter(|price| price.input_pico_usd > 0 || price.output_pico_usd > 0) {
        Some(price) => u64::try_from(cost(usage, price).0).unwrap_or(0),
        None => usage.output_tokens.saturating_mul(4).saturating_add(usage.input_tokens),
    }
}

/// The dearest prices of a call, at the two bounds of what goes in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Priced {
    most: (u64, ModelPrice),
    strict: (u64, ModelPrice),
}

impl Priced {
    /// What the call can cost with an answer of so many tokens.
    pub(crate) fn bounds(&self, max_output_tokens: u32) -> Bounds {
        let of = |(tokens, price): (u64, ModelPrice), output: u32| dearest(tokens, u64::from(output), &price);
        let useful = max_output_tokens.min(USEFUL_OUTPUT_TOKENS);
        Bounds {
            most: of(self.most, max_output_tokens),
            least: of(self.most, useful),
            strict_most: of(self.strict, max_output_tokens),
            strict_least: of(self.strict, useful),
        }
    }

    /// How long an answer so much money pays for, at least one token.
    pub(crate) fn affords(&self, amount: Money, strict: bool, max_output_tokens: u32) -> u32 {
        let (tokens, price) = if strict { self.strict } else { self.most };
        let costs = |output: u32| dearest(tokens, u64::from(output), &price);
        let (mut low, mut high) = (1, max_output_tokens.max(1));
        while low < high {
            let middle = high - (high - low) / 2;
            if costs(middle) <= amount { low = middle } else { high = middle - 1 }
        }
        low
    }
}

/// What goes in, before anything is known of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawInput {
    /// Its text, in tokens of o200k.
    pub(crate) tokens: u64,
    /// What the dialect adds, in tokens.
    pub(crate) overhead: u64,
}

/// Tokens of o200k by a factor in millionths: never more than the text has bytes.
fn scaled(tokens: u64, bytes: usize, factor_ppm: u32) -> u64 {
    let scaled = (u128::from(tokens) * u128::from(factor_ppm)).div_ceil(u128::from(EXACT_PPM));
    u64::try_from(scaled).unwrap_or(u64::MAX).min(bytes as u64)
}

impl CostEstimator {
    /// An estimator with these prices.
    pub fn new(prices: Arc<Prices>) -> Self {
        Self { prices, learnt: Learnt::default(), vocabulary: OnceCell::new() }
    }

    /// Loads the vocabulary now, so that the first call does not wait for it.
    pub async fn warm(&self) {
        self.vocabulary().await;
    }

    /// Tokens of a text for this model, as far as that can be known: exact for models with a public vocabulary, and never
    /// more than its bytes.
    pub async fn count(&self, model: &str, text: &str) -> u64 {
        self.scale(model, self.tokens(text).await, text.len())
    }

    /// Tokens of a text in o200k, whatever the model: the number that is worth remembering with a message
    /// ([`ModelMessage::tokens`](crate::ModelMessage::tokens)).
    pub async fn tokens(&self, text: &str) -> u64 {
        if text.len() > IN_PLACE_BYTES {
            return self.tokens_of_all(vec![Arc::from(text)]).await;
        }
        match self.vocabulary().await {
            Some(Vocabulary(tokenizer)) => tokenizer.count(text) as u64,
            None => text.len() as u64,
        }
    }

    /// Turns tokens of o200k into tokens of a model, for a text of so many bytes.
    pub fn scale(&self, model: &str, tokens: u64, bytes: usize) -> u64 {
        scaled(tokens, bytes, self.prices.token_factor_ppm(model))
    }

    /// Tokens of this model per token of o200k, in millionths: as the tenant's settled calls have taught, where the
    /// vocabulary is not public.
    fn factor_ppm(&self, ctx: &CallContext, model: &str) -> u32 {
        match self.prices.token_factor_ppm(model) {
            EXACT_PPM => EXACT_PPM,
            begun => self.learnt.factor_ppm(ctx, model, begun),
        }
    }

    /// Takes note of what a call did use that was answered whole.
    pub(crate) fn settled(&self, ctx: &CallContext, model: &str, input: Option<RawInput>, usage: Usage) {
        let begun = self.prices.token_factor_ppm(model);
        let text = input.filter(|_| begun != EXACT_PPM);
        let text = text.map(|input| (input.tokens, usage.input_tokens.saturating_sub(input.overhead)));
        self.learnt.settled(ctx, model, begun, text, usage.output_tokens);
    }

    /// The most that may come out of this model, given what was asked for.
    pub(crate) fn max_output_tokens(&self, model: &str, asked: Option<u32>, input_tokens: u64) -> u32 {
        let facts = self.prices.facts(model);
        let limit = facts.and_then(|facts| facts.max_output_tokens);
        let wanted = match (asked, limit) {
            (Some(asked), Some(limit)) => asked.min(limit),
            (Some(asked), None) => asked,
            (None, Some(limit)) => limit,
            (None, None) => FALLBACK_MAX_OUTPUT_TOKENS,
        };
        let Some(window) = facts.and_then(|facts| facts.context_window) else { return wanted.max(1) };
        // Providers refuse a prompt and a limit that do not fit their window together.
        let room = u64::from(window).saturating_sub(input_tokens).max(MIN_OUTPUT_TOKENS);
        wanted.min(u32::try_from(room).unwrap_or(u32::MAX)).max(1)
    }

    /// Estimates a call of `model` (the request's own, or one of its fallbacks).
    pub(crate) async fn estimate(
        &self,
        ctx: &CallContext,
        model: &str,
        asked: Option<u32>,
        request: &ModelRequest,
    ) -> Estimated {
        let texts = request.messages.iter().map(|message| (&message.text, message.tokens));
        let mut known: u64 = 0;
        let mut bytes: usize = 0;
        let mut to_count = Vec::new();
        for (text, tokens) in request.instructions.iter().map(|text| (text, None)).chain(texts) {
            bytes = bytes.saturating_add(text.len());
            match tokens {
                Some(tokens) => known = known.saturating_add(tokens),
                None => to_count.push(Arc::clone(text)),
            }
        }
        // Calls and tools cost what their JSON costs, or a little less.
        let calls = request.messages.iter().flat_map(|message| &message.calls);
        for text in calls.flat_map(|call| [Arc::clone(&call.args), Arc::from(call.name.as_str())]) {
            bytes = bytes.saturating_add(text.len());
            to_count.push(text);
        }
        for tool in &request.tools {
            let text = tool.text();
            bytes = bytes.saturating_add(text.len());
            to_count.push(Arc::from(text));
        }
        let attachments = request.messages.iter().flat_map(|message| &message.attachments);
        let shown = attachments.map(attachment_tokens).fold(0, u64::saturating_add);
        let raw = known.saturating_add(self.tokens_of_all(to_count).await);
        let messages = request.messages.len() as u64 + u64::from(request.instructions.is_some());
        let overhead =
            messages.saturating_mul(TOKENS_PER_MESSAGE).saturating_add(TOKENS_PER_CALL).saturating_add(shown);
        let (factor, begun) = (self.factor_ppm(ctx, model), self.prices.token_factor_ppm(model));
        let input_tokens = scaled(raw, bytes, factor).saturating_add(overhead);
        let most = match begun {
            EXACT_PPM => input_tokens,
            // What was learnt of other texts makes no bound lower.
            _ => scaled(raw.saturating_mul(2), bytes, factor.max(begun)).saturating_add(overhead),
        };
        let max_output_tokens = self.max_output_tokens(model, asked, input_tokens);
        let usual = self.learnt.output_tokens(ctx, model).unwrap_or(EXPECTED_OUTPUT_TOKENS);
        let expected_output = usual.min(u64::from(max_output_tokens));
        let own_key = has_own_key(&ctx.keys, model);
        let at = |tokens: u64| self.prices.charged(&ctx.prices, model, own_key, tokens);
        let usage = Usage { input_tokens, output_tokens: expected_output, ..Usage::default() };
        let estimate = Estimate {
            model_call: ModelCallId::new(),
            model: model.to_owned(),
            attempt: 1,
            input_tokens,
            expected: at(input_tokens).map(|price| cost(&usage, &price)),
            reserve: at(most).map(|price| dearest(most, u64::from(max_output_tokens), &price)),
        };
        let raw = (shown == 0).then_some(RawInput { tokens: raw, overhead });
        let strict = match begun {
            EXACT_PPM => most,
            _ => (bytes as u64).saturating_add(overhead).max(most),
        };
        let priced = at(most)
            .zip(at(strict))
            .map(|(of_most, of_strict)| Priced { most: (most, of_most), strict: (strict, of_strict) });
        // By the table: what a tenant pays for its turn does not make it wait longer.
        let listed = self.prices.facts(model).and_then(|facts| facts.price_at(input_tokens));
        let queue_cost = queue_cost(listed.as_ref(), &usage);
        Estimated { estimate, max_output_tokens, priced, queue_cost, raw }
    }

    async fn tokens_of_all(&self, texts: Vec<Arc<str>>) -> u64 {
        let bytes = texts.iter().map(|text| text.len()).fold(0, usize::saturating_add);
        if bytes == 0 {
            return 0;
        }
        let Some(Vocabulary(tokenizer)) = self.vocabulary().await else { return bytes as u64 };
        if bytes <= IN_PLACE_BYTES {
            return count_all(tokenizer, &texts);
        }
        let counting = tokio::task::spawn_blocking(move || count_all(tokenizer, &texts));
        // The runtime is going down: the bound will do.
        counting.await.unwrap_or(bytes as u64)
    }

    async fn vocabulary(&self) -> Option<Vocabulary> {
        let load = || async { tokio::task::spawn_blocking(|| Vocabulary(bpe_openai::o200k_base())).await };
        self.vocabulary.get_or_try_init(load).await.ok().copied()
    }
}

fn count_all(tokenizer: &Tokenizer, texts: &[Arc<str>]) -> u64 {
    let mut left = MAX_COUNTED_BYTES;
    let mut tokens: u64 = 0;
    for text in texts {
        let counted = text.floor_char_boundary(left.min(text.len()));
        left -= counted;
        tokens = tokens.saturating_add(tokenizer.count(&text[..counted]) as u64);
        tokens = tokens.saturating_add((text.len() - counted) as u64);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use headwater_protocol::Money;
    use headwater_protocol::event::Role;

    use super::*;
    use crate::request::ModelMessage;

    fn estimator() -> CostEstimator {
        CostEstimator::new(Arc::new(Prices::builtin()))
    }

    #[tokio::test]
    async fn counts_are_exact_where_the_vocabulary_is_public_and_never_above_the_bytes() {
        let estimator = estimator();
        assert_eq!(estimator.count("openai/gpt-4o", "Hello, world!").await, 4);
        assert_eq!(estimator.count("anthropic/claude-opus-5", "Hello, world!").await, 6, "4 x 1.35, rounded up");
        assert_eq!(estimator.count("anthropic/claude-opus-5", "a").await, 1, "tokens are at most bytes");
        assert_eq!(estimator.count("openai/gpt-4o", "").await, 0);
    }

    #[tokio::test]
    async fn both_numbers_and_the_overhead() {
        let mut request = ModelRequest::new("openai/gpt-4o", vec![ModelMessage::new(Role::User, "Hello, world!")]);
        request.instructions = Some("Hello, world!".into());
        let (estimator, ctx) = (estimator(), crate::limiter::tests::of(headwater_protocol::TenantId::new()));
        let Estimated { estimate, max_output_tokens, raw, .. } =
            estimator.estimate(&ctx, "openai/gpt-4o", Some(100), &request).await;
        assert_eq!(raw, Some(RawInput { tokens: 8, overhead: 2 * 4 + 3 }));
        assert_eq!((estimate.input_tokens, max_output_tokens), (4 + 4 + 2 * 4 + 3, 100));
        // 19 x 2.5 and 100 x 10 dollars per million.
        assert_eq!(estimate.expected, Some(Money(19 * 2_500 + 100 * 10_000)));
        assert_eq!(estimate.reserve, estimate.expected, "no guess in either");

        let claude = "anthropic/claude-opus-4-5";
        let other = estimator.estimate(&ctx, claude, None, &request).await;
        assert!(other.estimate.reserve > other.estimate.expected);
        let unknown = estimator.estimate(&ctx, "local/model", None, &request).await;
        assert_eq!((unknown.estimate.expected, unknown.estimate.reserve), (None, None));
        assert_eq!(unknown.max_output_tokens, FALLBACK_MAX_OUTPUT_TOKENS);

        // Once it is known what the model makes of text, and how long the agent's answers are, the estimate says so.
        let usage = Usage { input_tokens: 1020, output_tokens: 50, ..Usage::default() };
        let input = Some(RawInput { tokens: 1000, overhead: 20 });
        estimator.settled(&ctx, claude, input, usage);
        let learnt = estimator.estimate(&ctx, claude, None, &request).await.estimate;
        assert_eq!(learnt.input_tokens, 8 + 2 * 4 + 3, "one for one");
        assert!(learnt.expected < other.estimate.expected);
        assert!(learnt.reserve >= other.estimate.reserve, "a bound is not lowered by what was learnt of other texts");
        estimator.settled(&ctx, "openai/gpt-4o", input, Usage { input_tokens: 9000, ..usage });
        let exact = estimator.estimate(&ctx, "openai/gpt-4o", Some(100), &request).await.estimate;
        assert_eq!(exact.input_tokens, 8 + 2 * 4 + 3, "its vocabulary is known");
    }

    #[tokio::test]
    async fn remembered_counts_are_not_counted_again() {
        let mut message = ModelMessage::new(Role::User, "Hello, world!");
        message.tokens = Some(1);
        let request = ModelRequest::new("openai/gpt-4o", vec![message]);
        let ctx = crate::limiter::tests::of(headwater_protocol::TenantId::new());
        let estimated = estimator().estimate(&ctx, "openai/gpt-4o", None, &request).await;
        assert_eq!(estimated.estimate.input_tokens, 1 + 4 + 3);
    }

    #[tokio::test]
    async fn the_limit_fits_the_model_and_its_window() {
        let estimator = estimator();
        assert_eq!(estimator.max_output_tokens("openai/gpt-4o", None, 10), 16_384);
        assert_eq!(estimator.max_output_tokens("openai/gpt-4o", Some(1_000_000), 10), 16_384);
        assert_eq!(estimator.max_output_tokens("openai/gpt-4o", Some(10_000), 120_000), 8_000);
        assert_eq!(estimator.max_output_tokens("openai/gpt-4o", Some(10_000), 500_000), 1024);
        assert_eq!(estimator.max_output_tokens("openai/gpt-4o", Some(0), 10), 1);
    }

    #[tokio::test]
    async fn long_texts_of_every_kind_are_counted_within_bounds() {
        let estimator = estimator();
        for text in ["a".repeat(200_000), "ä€😀".repeat(30_000), " \n".repeat(100_000)] {
            let tokens = estimator.count("openai/gpt-4o", &text).await;
            assert!(tokens > 0 && tokens <= text.len() as u64);
        }
    }
}
