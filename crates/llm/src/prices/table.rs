//! How a price file is written.
//!
//! Owns the TOML side. Promises that a field with a mistyped name is an error. Never guesses a price.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use headwater_protocol::api::{ModelPrice, split_model};
use serde::Deserialize;

use super::{LongContext, ModelFacts, Prices, PricesError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tokens: Tokens,
    models: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    default_factor_ppm: u32,
    families: Vec<Family>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    prefixes: Vec<String>,
    factor_ppm: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input_pico_usd: Option<u64>,
    cached_input_pico_usd: Option<u64>,
    cache_write_pico_usd: Option<u64>,
    output_pico_usd: Option<u64>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    #[serde(default = "text")]
    input_modalities: Vec<String>,
    long_context: Option<Long>,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    above_input_tokens: u64,
    input_pico_usd: u64,
    cached_input_pico_usd: Option<u64>,
    cache_write_pico_usd: Option<u64>,
    output_pico_usd: u64,
}

fn text() -> Vec<String> {
    vec!["text".to_owned()]
}

/// An operator's own file: models alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    models: BTreeMap<String, Entry>,
}

pub(super) fn parse(toml: &str) -> Result<Prices, PricesError> {
    let file: File = toml::from_str(toml)?;
    let (models, listed) = read(file.models)?;
    let families = file.tokens.families.into_iter().map(|family| (family.prefixes, family.factor_ppm)).collect();
    Ok(Prices { models, listed, families, default_factor_ppm: file.tokens.default_factor_ppm })
}

/// Puts an operator's entries in the places of others.
pub(super) fn overlay(prices: &mut Prices, toml: &str) -> Result<(), PricesError> {
    let own: Own = toml::from_str(toml)?;
    let (models, listed) = read(own.models)?;
    prices.models.extend(models);
    prices.listed.extend(listed);
    prices.listed.sort();
    prices.listed.dedup();
    Ok(())
}

type Models = HashMap<String, Arc<ModelFacts>>;

/// What entries say, by every id that finds them; and the ids to list.
fn read(entries: BTreeMap<String, Entry>) -> Result<(Models, Vec<String>), PricesError> {
    let mut models = HashMap::new();
    let mut listed = Vec::new();
    let mut add = |id: String, facts: &Arc<ModelFacts>| match models.insert(id.clone(), Arc::clone(facts)) {
        None => Ok(()),
        Some(_) => Err(PricesError::Twice(id)),
    };
    for (key, entry) in entries {
        let Some((provider, id)) = split_model(&key) else { return Err(PricesError::Key(key)) };
        let Some(price) = entry.price() else { return Err(PricesError::HalfPrice(key)) };
        let facts = Arc::new(ModelFacts {
            entry: key.clone(),
            price,
            long_context: entry.long_context.map(Long::read),
            context_window: entry.context_window,
            max_output_tokens: entry.max_output_tokens,
            input_modalities: entry.input_modalities,
        });
        for alias in entry.aliases {
            add(format!("{provider}/{alias}"), &facts)?;
        }
        let is_pattern = id == "*";
        add(key.clone(), &facts)?;
        if !is_pattern {
            listed.push(key);
        }
    }
    Ok((models, listed))
}

impl Entry {
    /// `None` when half of the price is missing; `Some(None)` when all of it is.
    fn price(&self) -> Option<Option<ModelPrice>> {
        match (self.input_pico_usd, self.output_pico_usd) {
            (Some(input_pico_usd), Some(output_pico_usd)) => Some(Some(ModelPrice {
                input_pico_usd,
                cached_input_pico_usd: self.cached_input_pico_usd,
                cache_write_pico_usd: self.cache_write_pico_usd,
                output_pico_usd,
            })),
            (None, None) => Some(None),
            (Some(_), None) | (None, Some(_)) => None,
        }
    }
}

impl Long {
    fn read(self) -> LongContext {
        LongContext {
            above_input_tokens: self.above_input_tokens,
            price: ModelPrice {
                input_pico_usd: self.input_pico_usd,
                cached_input_pico_usd: self.cached_input_pico_usd,
                cache_write_pico_usd: self.cache_write_pico_usd,
                output_pico_usd: self.output_pico_usd,
            },
        }
    }
}
