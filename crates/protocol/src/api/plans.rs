//! Plans, which the operator names and gives to tenants, and the prices that a tenant pays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agents::{ModelPrice, split_model};
use super::budgets::{BudgetParams, BudgetScopeType};
use crate::{Problem, Timestamp};

/// Models that a plan or a tenant's prices can name.
const MAX_MODELS: usize = 256;
/// Budgets that come with a plan.
const MAX_PLAN_BUDGETS: usize = 16;
/// The largest share beside others'.
const MAX_WEIGHT: u32 = 1000;
/// A mark-up of ten times the price.
const MAX_MARKUP_PPM: u32 = 10_000_000;

/// What a plan grants. `null` is the server's own setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanTerms {
    /// A tenant's share where tenants wait for the same model, beside others' weights: 1 to 1000, 1 if not given.
    pub weight: u32,
    /// Runs under way.
    pub max_active_runs: Option<u32>,
    /// Runs that wait for a place.
    pub max_queued_runs: Option<u32>,
    /// Runs that are suspended, for whatever they wait: with so many no new one is accepted.
    pub max_suspended_runs: Option<u32>,
    /// Open streams.
    pub max_open_streams: Option<u32>,
    /// Requests per minute, of all keys and users together.
    pub requests_per_minute: Option<u32>,
    /// The longest that a run's deltas are kept after its end, whatever the tenant has set.
    pub retention_ms: Option<i64>,
    /// Models that may be called: `PROVIDER/model-id`, or `PROVIDER/*`. `null`: all.
    pub allowed_models: Option<Vec<String>>,
    /// Budgets that every tenant of the plan has: of the whole tenant, or of each of its users.
    pub budgets: Vec<BudgetParams>,
}

impl Default for PlanTerms {
    fn default() -> Self {
        Self {
            weight: 1,
            max_active_runs: None,
            max_queued_runs: None,
            max_suspended_runs: None,
            max_open_streams: None,
            requests_per_minute: None,
            retention_ms: None,
            allowed_models: None,
            budgets: Vec::new(),
        }
    }
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Always `plan`.
    pub object: String,
    /// What it grants.
    #[serde(flatten)]
    pub terms: PlanTerms,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Whether a plan can have this name: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
pub fn check_plan_name(param: &str, name: &str) -> Result<(), Problem> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Problem::invalid(param, "must have 1 to 64 of a-z, 0-9, _ and -"))
}

impl PlanTerms {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if !(1..=MAX_WEIGHT).contains(&self.weight) {
            return Err(Problem::invalid("/weight", format!("must be 1 to {MAX_WEIGHT}")));
        }
        for (param, value) in [
            ("/max_active_runs", self.max_active_runs),
            ("/max_queued_runs", self.max_queued_runs),
            ("/max_suspended_runs", self.max_suspended_runs),
            ("/max_open_streams", self.max_open_streams),
            ("/requests_per_minute", self.requests_per_minute),
        ] {
            if value.is_some_and(|value| !(1..=10_000_000).contains(&value)) {
                return Err(Problem::invalid(param, "must be 1 to 10000000"));
            }
        }
        if self.retention_ms.is_some_and(|ms| !(60_000..=31_536_000_000).contains(&ms)) {
            return Err(Problem::invalid("/retention_ms", "must be 60000 to 31536000000"));
        }
        if let Some(models) = &self.allowed_models {
            if models.is_empty() || models.len() > MAX_MODELS {
                return Err(Problem::invalid("/allowed_models", format!("must hold 1 to {MAX_MODELS} models")));
            }
            for (at, model) in models.iter().enumerate() {
                check_model_name(&format!("/allowed_models/{at}"), model)?;
            }
        }
        if self.budgets.len() > MAX_PLAN_BUDGETS {
            return Err(Problem::invalid("/budgets", format!("must hold at most {MAX_PLAN_BUDGETS} budgets")));
        }
        for (at, budget) in self.budgets.iter().enumerate() {
            let param = format!("/budgets/{at}");
            if !matches!(budget.scope.r#type, BudgetScopeType::Tenant | BudgetScopeType::EachUser) {
                return Err(Problem::invalid(format!("{param}/scope"), "must be of the tenant or of each user"));
            }
            budget.check().map_err(|problem| problem.below(&param))?;
            let kind = |budget: &BudgetParams| (budget.scope.r#type, budget.mode, budget.window, budget.strict);
            if self.budgets[..at].iter().any(|before| kind(before) == kind(budget)) {
                return Err(Problem::invalid(param, "there is one of the same scope, mode and window already"));
            }
        }
        Ok(())
    }

    /// Whether this model may be called.
    pub fn allows(&self, model: &str) -> bool {
        let Some(allowed) = &self.allowed_models else { return true };
        let provider = split_model(model).map(|(provider, _)| provider);
        allowed.iter().any(|allowed| match allowed.strip_suffix("/*") {
            Some(all_of) => provider == Some(all_of),
            None => allowed == model,
        })
    }
}

/// What a tenant pays otherwise than the table of prices says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantPrices {
    /// What is added to the table's prices, in millionths: 200000 is a fifth. Not to calls with the tenant's own key.
    pub markup_ppm: u32,
    /// Prices that were agreed upon, by `PROVIDER/model-id`: final, without the mark-up, however much goes in.
    pub models: BTreeMap<String, ModelPrice>,
}

impl TenantPrices {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if self.markup_ppm > MAX_MARKUP_PPM {
            return Err(Problem::invalid("/markup_ppm", format!("must be 0 to {MAX_MARKUP_PPM}")));
        }
        if self.models.len() > MAX_MODELS {
            return Err(Problem::invalid("/models", format!("must hold at most {MAX_MODELS} models")));
        }
        for model in self.models.keys() {
            let param = format!("/models/{}", model.replace('~', "~0").replace('/', "~1"));
            if model.ends_with("/*") {
                return Err(Problem::invalid(param, "must be one model"));
            }
            check_model_name(&param, model)?;
        }
        Ok(())
    }

    /// A price of the table with the mark-up, rounded up.
    pub fn marked_up(&self, price: ModelPrice) -> ModelPrice {
        let up = |pico: u64| {
            let added = (u128::from(pico) * u128::from(self.markup_ppm)).div_ceil(1_000_000);
            pico.saturating_add(u64::try_from(added).unwrap_or(u64::MAX))
        };
        ModelPrice {
            input_pico_usd: up(price.input_pico_usd),
            cached_input_pico_usd: price.cached_input_pico_usd.map(up),
            cache_write_pico_usd: price.cache_write_pico_usd.map(up),
            output_pico_usd: up(price.output_pico_usd),
        }
    }
}

fn check_model_name(param: &str, model: &str) -> Result<(), Problem> {
    if model.len() <= 256 && split_model(model).is_some() {
        return Ok(());
    }
    Err(Problem::invalid(param, "must be PROVIDER/model-id"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms(value: serde_json::Value) -> PlanTerms {
        serde_json::from_value(value).expect("terms")
    }

    #[test]
    fn models_are_allowed_by_name_or_by_provider() {
        let some = terms(json!({"allowed_models": ["openai/gpt-5-mini", "local/*"]}));
        for (model, allowed) in [
            ("openai/gpt-5-mini", true),
            ("openai/gpt-5", false),
            ("local/llama/3", true),
            ("locals/x", false),
            ("local", false),
            ("", false),
        ] {
            assert_eq!(some.allows(model), allowed, "{model}");
        }
        assert!(PlanTerms::default().allows("whatever/x"));
    }

    #[test]
    fn bounds_are_kept_and_named() {
        for (value, param) in [
            (json!({"weight": 0}), "/weight"),
            (json!({"max_active_runs": 0}), "/max_active_runs"),
            (json!({"retention_ms": 1}), "/retention_ms"),
            (json!({"allowed_models": []}), "/allowed_models"),
            (json!({"allowed_models": ["gpt-5"]}), "/allowed_models/0"),
            (
                json!({"budgets": [{"scope": {"type": "agent", "id": "agt_x"}, "limit": {"nano_usd": 1}}]}),
                "/budgets/0/scope",
            ),
            (json!({"budgets": [{"scope": {"type": "tenant"}, "limit": {"nano_usd": -1}}]}), "/budgets/0/limit"),
        ] {
            let problem = terms(value.clone()).check().expect_err(&value.to_string());
            assert_eq!(problem.errors[0].param, param);
        }
        let twice = json!({"scope": {"type": "tenant"}, "limit": {"nano_usd": 1}});
        assert!(terms(json!({"budgets": [twice, twice]})).check().is_err());
        assert!(terms(json!({"budgets": [twice], "weight": 1000, "max_suspended_runs": 1})).check().is_ok());
    }

    #[test]
    fn a_mark_up_is_rounded_up() {
        let prices = TenantPrices { markup_ppm: 150_000, models: BTreeMap::new() };
        let price = ModelPrice {
            input_pico_usd: 3,
            cached_input_pico_usd: Some(0),
            cache_write_pico_usd: None,
            output_pico_usd: 1_000_000,
        };
        let up = prices.marked_up(price);
        assert_eq!((up.input_pico_usd, up.cached_input_pico_usd, up.output_pico_usd), (4, Some(0), 1_150_000));
    }
}
