//! The arithmetic of cost.
//!
//! Owns tokens × price. Promises integers only, rounded up to the nano-dollar once per call, saturating instead of
//! wrapping: an amount never becomes a credit. Never knows which model it is about.

use headwater_protocol::api::ModelPrice;
use headwater_protocol::{Money, Usage};

/// What a usage costs at a price. Cached and cache-write tokens are part of the input, each at its own price; counts that
/// cannot be (more cached than went in) are cut to what went in.
pub fn cost(usage: &Usage, price: &ModelPrice) -> Money {
    let cached = usage.cached_input_tokens.min(usage.input_tokens);
    let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
    let fresh = usage.input_tokens - cached - written;
    let parts = [
        (fresh, price.input_pico_usd),
        (cached, price.cached_input_pico_usd.unwrap_or(price.input_pico_usd)),
        (written, price.cache_write_pico_usd.unwrap_or(price.input_pico_usd)),
        (usage.output_tokens, price.output_pico_usd),
    ];
    nano(parts)
}

/// What so many tokens cost when every one of them is billed at the dearest price that can apply.
pub(crate) fn dearest(input_tokens: u64, output_tokens: u64, price: &ModelPrice) -> Money {
    let cached = price.cached_input_pico_usd.unwrap_or(0);
    let input = price.input_pico_usd.max(cached).max(price.cache_write_pico_usd.unwrap_or(0));
    nano([(input_tokens, input), (output_tokens, price.output_pico_usd)])
}

fn nano<const N: usize>(parts: [(u64, u64); N]) -> Money {
    let pico =
        parts.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price)).fold(0, u128::saturating_add);
    Money(i64::try_from(pico.div_ceil(1000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICE: ModelPrice = ModelPrice {
        input_pico_usd: 1_250_000,
        cached_input_pico_usd: Some(125_000),
        cache_write_pico_usd: Some(1_562_500),
        output_pico_usd: 10_000_000,
    };

    fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
        Usage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: 0,
            total_tokens: input.saturating_add(output),
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        // 600 fresh, 300 cached, 100 written, 50 out: 750 000 + 37 500 + 156 250 + 500 000 nano-dollars.
        assert_eq!(cost(&usage(1000, 300, 100, 50), &PRICE), Money(1_443_750));
        let plain = ModelPrice { cached_input_pico_usd: None, cache_write_pico_usd: None, ..PRICE };
        assert_eq!(cost(&usage(1000, 300, 100, 50), &plain), Money(1_750_000));
    }

    #[test]
    fn a_part_of_a_nano_dollar_is_a_whole_one() {
        let price = ModelPrice { input_pico_usd: 1, output_pico_usd: 999, ..PRICE };
        let price = ModelPrice { cached_input_pico_usd: None, cache_write_pico_usd: None, ..price };
        assert_eq!(cost(&usage(0, 0, 0, 0), &price), Money(0));
        assert_eq!(cost(&usage(1, 0, 0, 0), &price), Money(1));
        assert_eq!(cost(&usage(1, 0, 0, 1), &price), Money(1), "rounded once, not per kind of token");
        assert_eq!(cost(&usage(2, 0, 0, 1), &price), Money(2));
    }

    #[test]
    fn impossible_counts_neither_panic_nor_pay_back() {
        assert_eq!(cost(&usage(10, 50, 50, 0), &PRICE), Money(1_250));
        assert_eq!(cost(&usage(u64::MAX, 0, u64::MAX, u64::MAX), &PRICE), Money(i64::MAX));
        assert_eq!(dearest(u64::MAX, u64::MAX, &PRICE), Money(i64::MAX));
    }

    proptest! {
        #[test]
        fn the_dearest_bounds_every_split(input in 0u64..10_000_000, cached: u64, written: u64, output in 0u64..1_000_000) {
            let actual = cost(&usage(input, cached, written, output), &PRICE);
            prop_assert!(actual <= dearest(input, output, &PRICE));
        }
    }
}
