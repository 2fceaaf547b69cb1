//! Whether a call of a tool is carried out, asked about, or refused.
//!
//! Owns the one function that says so, [`decide`]: from a tool's policy, its rules on the arguments, and what a person has
//! permitted for the rest of a thread. Promises that a rule which cannot be evaluated never permits anything by itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Problem;

/// Rules of one tool.
pub const MAX_RULES: usize = 32;
/// Conditions of one rule.
pub const MAX_CONDITIONS: usize = 16;

words! {
    /// What is done about a call.
    Policy {
        /// It is carried out.
        Auto,
        /// A person is asked.
        Ask,
        /// It is not carried out: a tool that is never permitted is not even offered to the model.
        Deny,
    }
    /// How an argument is compared.
    Op {
        /// Equal, as JSON.
        Eq,
        /// Not equal.
        Ne,
        /// Greater: of two numbers, or two strings.
        Gt,
        /// Greater or equal.
        Gte,
        /// Less.
        Lt,
        /// Less or equal.
        Lte,
        /// Equal to one of a list.
        In,
        /// Equal to none of a list.
        NotIn,
        /// There.
        Exists,
        /// Not there.
        Absent,
        /// A string that begins with another.
        StartsWith,
    }
}

/// What the arguments have to be like for a rule to match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// JSON pointer into the arguments, such as `/amount`.
    pub path: String,
    /// How it is compared.
    pub op: Op,
    /// With what; absent for `exists` and `absent`.
    #[serde(default)]
    pub value: Value,
}

/// A rule: the first one of a tool that matches says what is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// All must hold; none at all always do.
    pub when: Vec<Condition>,
    /// Then this is done.
    pub then: Policy,
}

impl Condition {
    /// Whether it holds. `None`: that cannot be said of these arguments.
    fn holds(&self, args: &Value) -> Option<bool> {
        let found = args.pointer(&self.path);
        match self.op {
            Op::Exists => return Some(found.is_some()),
            Op::Absent => return Some(found.is_none()),
            _ => {}
        }
        let found = found?;
        let order = || order(found, &self.value);
        match self.op {
            Op::Eq => Some(same(found, &self.value)),
            Op::Ne => Some(!same(found, &self.value)),
            Op::Gt => order().map(std::cmp::Ordering::is_gt),
            Op::Gte => order().map(std::cmp::Ordering::is_ge),
            Op::Lt => order().map(std::cmp::Ordering::is_lt),
            Op::Lte => order().map(std::cmp::Ordering::is_le),
            Op::In => Some(self.value.as_array()?.iter().any(|one| same(found, one))),
            Op::NotIn => Some(!self.value.as_array()?.iter().any(|one| same(found, one))),
            Op::StartsWith => Some(found.as_str()?.starts_with(self.value.as_str()?)),
            Op::Exists | Op::Absent => unreachable!("answered above"),
        }
    }

    fn check(&self, at: &str) -> Result<(), Problem> {
        if self.path.len() > 256 || !(self.path.is_empty() || self.path.starts_with('/')) {
            return Err(Problem::invalid(format!("{at}/path"), "must be a JSON pointer of at most 256 bytes"));
        }
        let good = match self.op {
            Op::Eq | Op::Ne => true,
            Op::Gt | Op::Gte | Op::Lt | Op::Lte => self.value.is_number() || self.value.is_string(),
            Op::In | Op::NotIn => self.value.is_array(),
            Op::Exists | Op::Absent => self.value.is_null(),
            Op::StartsWith => self.value.is_string(),
        };
        let fits = self.value.to_string().len() <= 4096 && !super::holds_nul(&self.value);
        if good && fits { Ok(()) } else { Err(Problem::invalid(format!("{at}/value"), "does not fit the op")) }
    }
}

/// Numbers by their value, all else as JSON.
fn same(one: &Value, other: &Value) -> bool {
    one == other
        || matches!((one, other), (Value::Number(_), Value::Number(_)) if order(one, other) == Some(std::cmp::Ordering::Equal))
}

fn order(one: &Value, other: &Value) -> Option<std::cmp::Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (as_whole(one), as_whole(other)) {
            // Exactly, where both are whole: as floats, large neighbours are equal.
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        _ => None,
    }
}

fn as_whole(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// What is done about a call with these arguments. `remembered`: a person has permitted this tool for the rest of the
/// thread, which answers what would be asked and nothing else.
pub fn decide(policy: Policy, rules: &[PolicyRule], args: &Value, remembered: bool) -> Policy {
    let by_rule = rules.iter().find_map(|rule| {
        let held: Vec<Option<bool>> = rule.when.iter().map(|condition| condition.holds(args)).collect();
        if held.contains(&Some(false)) {
            return None;
        }
        // What cannot be said is for a person to say; but nothing that is forbidden otherwise becomes a question.
        Some(if held.contains(&None) && rule.then != Policy::Deny { Policy::Ask } else { rule.then })
    });
    match by_rule.unwrap_or(policy) {
        Policy::Ask if remembered => Policy::Auto,
        other => other,
    }
}

/// Whether a call may be carried out at all, with the right arguments.
pub fn may_permit(policy: Policy, rules: &[PolicyRule]) -> bool {
    policy != Policy::Deny || rules.iter().any(|rule| rule.then != Policy::Deny)
}

/// Whether a person may be asked.
pub fn may_ask(policy: Policy, rules: &[PolicyRule]) -> bool {
    // A rule with a condition may be one that cannot be evaluated.
    policy == Policy::Ask
        || rules.iter().any(|rule| rule.then == Policy::Ask || rule.then == Policy::Auto && !rule.when.is_empty())
}

/// Whether these can be a tool's rules.
pub(super) fn check_rules(at: &str, rules: &[PolicyRule]) -> Result<(), Problem> {
    let too_many = |param: String, most: usize| Err(Problem::invalid(param, format!("must hold at most {most}")));
    if rules.len() > MAX_RULES {
        return too_many(at.to_owned(), MAX_RULES);
    }
    for (i, rule) in rules.iter().enumerate() {
        if rule.when.len() > MAX_CONDITIONS {
            return too_many(format!("{at}/{i}/when"), MAX_CONDITIONS);
        }
        for (j, condition) in rule.when.iter().enumerate() {
            condition.check(&format!("{at}/{i}/when/{j}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(value: Value) -> Vec<PolicyRule> {
        let rules: Vec<PolicyRule> = serde_json::from_value(value).expect("rules");
        check_rules("/policy_rules", &rules).expect("good ones");
        rules
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = rules(json!([
            {"when": [{"path": "/to", "op": "starts_with", "value": "test-"}], "then": "auto"},
            {"when": [{"path": "/amount", "op": "gt", "value": 500}], "then": "deny"},
            {"when": [{"path": "/amount", "op": "gt", "value": 50}, {"path": "/vip", "op": "absent"}], "then": "ask"},
        ]));
        let say = |args: Value| decide(Policy::Auto, &rules, &args, false);
        assert_eq!(say(json!({"to": "test-1", "amount": 1000})), Policy::Auto);
        assert_eq!(say(json!({"to": "a", "amount": 1000})), Policy::Deny);
        assert_eq!(say(json!({"to": "a", "amount": 500.0})), Policy::Ask);
        assert_eq!(say(json!({"to": "a", "amount": 60, "vip": true})), Policy::Auto);
        assert_eq!(say(json!({"to": "a", "amount": 50})), Policy::Auto);
    }

    #[test]
    fn what_cannot_be_said_is_asked_and_never_permits() {
        let small = rules(json!([{"when": [{"path": "/amount", "op": "lt", "value": 50}], "then": "auto"}]));
        for args in [json!({"amount": "7"}), json!({}), json!({"amount": null}), json!({"amount": [1]})] {
            assert_eq!(decide(Policy::Deny, &small, &args, false), Policy::Ask, "{args}");
        }
        let large = rules(json!([{"when": [{"path": "/amount", "op": "gt", "value": 50}], "then": "deny"}]));
        assert_eq!(decide(Policy::Auto, &large, &json!({"amount": "70"}), false), Policy::Deny);
        let two =
            rules(json!([{"when": [{"path": "/a", "op": "gt", "value": 1}, {"path": "/b", "op": "eq", "value": 1}],
                                 "then": "auto"}]));
        assert_eq!(
            decide(Policy::Deny, &two, &json!({"b": 2}), false),
            Policy::Deny,
            "one that surely fails is enough"
        );
    }

    #[test]
    fn what_was_permitted_for_a_thread_answers_questions_alone() {
        let rules = rules(json!([{"when": [{"path": "/amount", "op": "gt", "value": 500}], "then": "deny"}]));
        assert_eq!(decide(Policy::Ask, &rules, &json!({"amount": 5}), true), Policy::Auto);
        assert_eq!(decide(Policy::Ask, &rules, &json!({"amount": 501}), true), Policy::Deny);
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let is = |op: &str, value: Value, found: Value| {
            let condition: Condition =
                serde_json::from_value(json!({"path": "/x", "op": op, "value": value})).expect("one");
            condition.holds(&json!({"x": found}))
        };
        assert_eq!(is("eq", json!(1), json!(1.0)), Some(true));
        assert_eq!(is("in", json!([1, "a"]), json!(1.0)), Some(true));
        assert_eq!(is("not_in", json!(["a"]), json!("b")), Some(true));
        assert_eq!(is("gt", json!(9_007_199_254_740_992_u64), json!(9_007_199_254_740_993_u64)), Some(true));
        assert_eq!(is("gt", json!("2026-01-01"), json!("2026-02-01")), Some(true));
        assert_eq!(is("gt", json!(1), json!("2")), None);
        assert_eq!(is("exists", json!(null), json!(null)), Some(true));
    }
}
