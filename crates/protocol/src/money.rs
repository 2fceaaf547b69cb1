//! Money in nano-dollars (10⁻⁹ USD) and token counts. Integers only: no float ever touches an amount.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANO: u64 = 1_000_000_000;
/// 2⁵³ − 1: the largest integer that JSON readers in browsers keep exact.
const JSON_SAFE: i64 = 9_007_199_254_740_991;

/// An amount in nano-dollars. Written as both an integer and an exact decimal; a request gives exactly one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// The sum, saturating: an amount never wraps around into a credit.
    #[must_use]
    pub fn plus(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// The exact decimal in dollars, without trailing zeros: `0.00183`.
    pub fn usd(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nano = self.0.unsigned_abs();
        let (whole, part) = (nano / NANO, nano % NANO);
        if part == 0 {
            return format!("{sign}{whole}");
        }
        let digits = format!("{part:09}");
        format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
    }

    /// Reads an exact decimal in dollars. `None` when it is not one, has more than nine decimals or is out of range.
    pub fn from_usd(text: &str) -> Option<Money> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > 9 {
            return None;
        }
        let part: i64 = format!("{part:0<9}").parse().ok()?;
        let nano = whole.parse::<i64>().ok()?.checked_mul(NANO as i64)?.checked_add(part)?;
        Some(Money(if negative { -nano } else { nano }))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Out {
            nano_usd: Option<i64>,
            usd: String,
        }
        let nano_usd = (self.0.abs() <= JSON_SAFE).then_some(self.0);
        Out { nano_usd, usd: self.usd() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct In {
            #[serde(default)]
            nano_usd: Option<i64>,
            #[serde(default)]
            usd: Option<String>,
        }
        let both = In::deserialize(deserializer)?;
        let bad = || D::Error::custom("usd must be a decimal with at most nine decimals");
        match (both.nano_usd, both.usd) {
            (Some(nano), None) => Ok(Money(nano)),
            (None, Some(usd)) => Money::from_usd(&usd).ok_or_else(bad),
            // What we wrote ourselves holds both; they must agree.
            (Some(nano), Some(usd)) if Money::from_usd(&usd) == Some(Money(nano)) => Ok(Money(nano)),
            _ => Err(D::Error::custom("give exactly one of nano_usd and usd")),
        }
    }
}

impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("nano_usd", ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::Null])))
            .property("usd", ObjectBuilder::new().schema_type(Type::String))
            .description(Some("10⁻⁹ USD, and the same as an exact decimal. Requests give exactly one of the two."))
            .build()
            .into()
    }
}

impl utoipa::ToSchema for Money {}

/// Tokens of one or several model calls. Input **includes** cached and cache-write tokens, output includes reasoning,
/// whatever the provider's own habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    /// All tokens that went in.
    pub input_tokens: u64,
    /// Those of them read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Those of them written to the provider's cache.
    pub cache_write_tokens: u64,
    /// All tokens that came out.
    pub output_tokens: u64,
    /// Those of them spent on reasoning.
    pub reasoning_tokens: u64,
    /// Input and output.
    pub total_tokens: u64,
}

impl Usage {
    /// The sum of two usages, saturating.
    #[must_use]
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_input_tokens: self.cached_input_tokens.saturating_add(other.cached_input_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_both_ways() {
        for (nano, usd) in [(1_830_000, "0.00183"), (0, "0"), (5_000_000_000, "5"), (-1, "-0.000000001")] {
            assert_eq!(Money(nano).usd(), usd);
            assert_eq!(Money::from_usd(usd), Some(Money(nano)));
        }
        for bad in ["", ".", "1.", "1e3", "0.0000000001", "9999999999999", "+1", "1,5"] {
            assert_eq!(Money::from_usd(bad), None, "{bad}");
        }
    }

    #[test]
    fn beyond_what_json_keeps_the_integer_is_null() {
        let json = serde_json::to_value(Money(JSON_SAFE + 1)).expect("serialises");
        assert_eq!(json["nano_usd"], serde_json::Value::Null);
        assert_eq!(json["usd"], "9007199.254740992");
    }

    #[test]
    fn a_request_gives_exactly_one() {
        assert!(serde_json::from_str::<Money>(r#"{"usd":"1"}"#).is_ok());
        assert!(serde_json::from_str::<Money>(r#"{"nano_usd":1}"#).is_ok());
        assert!(serde_json::from_str::<Money>(r#"{"nano_usd":1,"usd":"1"}"#).is_err());
        assert!(serde_json::from_str::<Money>("{}").is_err());
    }
}
