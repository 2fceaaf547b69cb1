//! What models cost and how large they are: `config/pricing.toml`, read once.
//!
//! Owns the table and how a model id finds its entry. Promises that an id with an unknown price finds none rather than
//! that of its neighbour: only a date or `-latest` may stand behind a known id. Never fetches anything.

mod cost;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use headwater_protocol::api::{ModelPrice, TenantPrices, split_model};

pub use cost::cost;
pub(crate) use cost::dearest;

/// Why a price file was refused.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It is not TOML, or has a field that is not known or of the wrong type.
    #[error("the price file cannot be read")]
    Toml(#[from] toml::de::Error),
    /// Two entries claim one id.
    #[error("the price file names {0} twice")]
    Twice(String),
    /// A key that no model can have.
    #[error("{0} in the price file is not of the form PROVIDER/model-id")]
    Key(String),
    /// Only one of the two prices that every model has.
    #[error("{0} in the price file needs both input_pico_usd and output_pico_usd, or neither")]
    HalfPrice(String),
}

/// What is known about a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// The name of its entry in the table: of its aliases and dates too, and of everything that only matches a pattern.
    pub entry: String,
    /// What it costs, if known.
    pub price: Option<ModelPrice>,
    /// What it costs when much goes in.
    pub long_context: Option<LongContext>,
    /// Tokens that fit, in and out together.
    pub context_window: Option<u32>,
    /// Tokens it can answer.
    pub max_output_tokens: Option<u32>,
    /// `text`, `image`.
    pub input_modalities: Vec<String>,
}

/// Prices of a whole call once more than a number of tokens went in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongContext {
    /// The first tier ends here, inclusive.
    pub above_input_tokens: u64,
    /// What all tokens of the call cost then.
    pub price: ModelPrice,
}

impl ModelFacts {
    /// The price of a call into which so many tokens go.
    pub fn price_at(&self, input_tokens: u64) -> Option<ModelPrice> {
        match self.long_context {
            Some(long) if input_tokens > long.above_input_tokens => Some(long.price),
            Some(_) | None => self.price,
        }
    }
}

/// All that is known about models, by `PROVIDER/model-id`.
#[derive(Debug, Clone)]
pub struct Prices {
    models: HashMap<String, Arc<ModelFacts>>,
    /// The keys as written, in order, without aliases and patterns.
    listed: Vec<String>,
    families: Vec<(Vec<String>, u32)>,
    default_factor_ppm: u32,
}

impl Prices {
    /// Reads a price file.
    pub fn parse(text: &str) -> Result<Self, PricesError> {
        table::parse(text)
    }

    /// The same, with the entries of an operator's own file (`[models]` alone, in the same form) beside these or instead of
    /// them.
    ///
    /// # Errors
    /// The file cannot be read, or has something that no entry can.
    pub fn with_own(mut self, text: &str) -> Result<Self, PricesError> {
        table::overlay(&mut self, text)?;
        Ok(self)
    }

    /// The table that this release was built with.
    pub fn builtin() -> Self {
        Self::parse(include_str!("../../../../config/pricing.toml")).expect("a test reads the file of this release")
    }

    /// What is known about a model: its own entry, an alias, the entry without a date behind it, or its provider's `*`.
    pub fn facts(&self, model: &str) -> Option<&ModelFacts> {
        let found = self
            .models
            .get(model)
            .or_else(|| self.models.get(without_date(model)?))
            .or_else(|| self.models.get(&format!("{}/*", split_model(model)?.0)));
        found.map(|facts| &**facts)
    }

    /// What a tenant pays for a token of a call into which so many go: what was agreed upon, or the table's price with its
    /// mark-up, which calls with a key of its own do not bear. `None`: nobody knows.
    pub fn charged(&self, tenant: &TenantPrices, model: &str, own_key: bool, input_tokens: u64) -> Option<ModelPrice> {
        if let Some(agreed) = tenant.models.get(model).filter(|_| !own_key) {
            return Some(*agreed);
        }
        let price = self.facts(model)?.price_at(input_tokens)?;
        Some(if own_key { price } else { tenant.marked_up(price) })
    }

    /// The models of a provider that have an entry of their own, as `PROVIDER/model-id`.
    pub fn listed<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = (&'a str, &'a ModelFacts)> {
        self.listed.iter().filter_map(move |key| {
            let (of, _) = split_model(key)?;
            let facts = self.models.get(key)?;
            (of == provider).then_some((key.as_str(), &**facts))
        })
    }

    /// Tokens of this model per token of o200k, in millionths. 1 000 000 means that the model uses o200k itself.
    pub fn token_factor_ppm(&self, model: &str) -> u32 {
        let id = model.rsplit_once('/').map_or(model, |(_, id)| id);
        let family = self.families.iter().find(|(prefixes, _)| prefixes.iter().any(|prefix| id.starts_with(prefix)));
        family.map_or(self.default_factor_ppm, |(_, factor)| *factor)
    }
}

/// `openai/gpt-5-2025-08-07`, `anthropic/claude-opus-4-5-20251101` and `…-latest` without what is behind the name.
fn without_date(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|byte| byte.is_ascii_digit());
    let (name, last) = model.rsplit_once('-')?;
    if digits(last, 8) {
        return Some(name);
    }
    let (name, month) = name.rsplit_once('-')?;
    let (name, year) = name.rsplit_once('-')?;
    (digits(last, 2) && digits(month, 2) && digits(year, 4)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_table_reads_and_knows_the_big_names() {
        let prices = Prices::builtin();
        for model in
            ["openai/gpt-5", "openai/gpt-5-mini", "openai/gpt-4.1", "openai/gpt-4o", "openai/o3", "openai/o4-mini"]
        {
            let facts = prices.facts(model).expect(model);
            let price = facts.price.expect(model);
            assert!(price.input_pico_usd > 0 && price.output_pico_usd > price.input_pico_usd, "{model}");
            assert!(facts.context_window.is_some() && facts.max_output_tokens.is_some(), "{model}");
        }
        assert!(prices.facts("anthropic/claude-sonnet-4-5").is_some_and(|facts| facts.long_context.is_some()));
        assert!(prices.facts("scripted/anything").is_some_and(|facts| facts.price.is_some()));
        assert!(prices.listed("openai").count() > 20);
        assert_eq!(prices.listed("scripted").count(), 0);
    }

    #[test]
    fn only_dates_and_latest_may_stand_behind_a_known_id() {
        let prices = Prices::builtin();
        let five = prices.facts("openai/gpt-5");
        for same in ["openai/gpt-5-2025-08-07", "openai/gpt-5-latest", "openai/gpt-5-20250807", "openai/gpt-5-codex"] {
            assert_eq!(prices.facts(same), five, "{same}");
        }
        assert_ne!(prices.facts("openai/gpt-5-mini"), five);
        for unknown in ["openai/gpt-5-huge", "openai/gpt-5-2025-08", "nobody/gpt-5", "gpt-5", "", "openai/", "-latest"]
        {
            assert_eq!(prices.facts(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn factors_follow_the_family_whoever_serves_the_model() {
        let prices = Prices::builtin();
        for exact in ["openai/gpt-5-mini", "openrouter/openai/gpt-4o", "groq/openai/gpt-oss-20b"] {
            assert_eq!(prices.token_factor_ppm(exact), 1_000_000, "{exact}");
        }
        for guessed in ["anthropic/claude-opus-5", "google/gemini-2.5-pro", "openai/gpt-4", "x"] {
            assert_eq!(prices.token_factor_ppm(guessed), 1_350_000, "{guessed}");
        }
    }

    #[test]
    fn an_operators_own_entries_stand_in_for_those_of_the_release() {
        let own = r#"[models]
            "openai/gpt-5-mini" = { input_pico_usd = 7, output_pico_usd = 8, aliases = ["our-mini"] }
            "local/llama" = { input_pico_usd = 0, output_pico_usd = 0, context_window = 8192 }"#;
        let prices = Prices::builtin().with_own(own).expect("it reads");
        let mini = |prices: &Prices, id: &str| {
            prices.facts(id).and_then(|facts| facts.price).map(|price| price.input_pico_usd)
        };
        for id in ["openai/gpt-5-mini", "openai/our-mini", "openai/gpt-5-mini-2025-08-07"] {
            assert_eq!(mini(&prices, id), Some(7), "{id}");
        }
        assert_eq!(mini(&prices, "local/llama"), Some(0), "known, and free");
        assert_eq!(mini(&prices, "openai/gpt-5"), mini(&Prices::builtin(), "openai/gpt-5"));
        assert_eq!(prices.listed("openai").count(), Prices::builtin().listed("openai").count());
        assert_eq!(prices.listed("local").count(), 1);
        for wrong in ["[models]\n\"a\" = {}", "[models]\n\"a/b\" = { input_pico_usd = 1 }", "[tokens]"] {
            assert!(Prices::builtin().with_own(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        let read = |models: &str| {
            Prices::parse(&format!("[tokens]\ndefault_factor_ppm = 1_000_000\nfamilies = []\n[models]\n{models}"))
        };
        assert!(read(r#""a/b" = { input_pico_usd = 1, output_pico_usd = 2 }"#).is_ok());
        assert!(matches!(read(r#""a" = {}"#), Err(PricesError::Key(_))));
        assert!(matches!(read(r#""a/b" = { input_pico_usd = 1 }"#), Err(PricesError::HalfPrice(_))));
        assert!(matches!(read("\"a/b\" = { aliases = [\"c\"] }\n\"a/c\" = {}"), Err(PricesError::Twice(_))));
        assert!(matches!(read(r#""a/b" = { input = 1 }"#), Err(PricesError::Toml(_))));
        assert!(matches!(read(r#""a/b" = { input_pico_usd = -1, output_pico_usd = 1 }"#), Err(PricesError::Toml(_))));
    }
}
