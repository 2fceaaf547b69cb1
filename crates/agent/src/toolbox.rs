//! What an agent can call, as its loop sees it.
//!
//! Owns turning an agent's tools, of whatever kind, into [`Ability`]s: one for each name that the model may call. Nothing
//! behind this knows how a tool is written in a configuration.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use headwater_llm::ModelTool;
use headwater_protocol::api::{
    AgentConfig, Builtin, Effect, HttpTool, MAX_TOOLS, McpServer, McpTool, McpTools, Policy, PolicyRule, Tool,
    may_permit,
};
use headwater_store::scoped::StoredMcpServer;
use serde_json::{Map, Value, json};

use crate::memory::MemoryAct;

/// Something that a model may call.
#[derive(Debug)]
pub(crate) struct Ability {
    /// What the model calls it.
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// The schema of the arguments that the model gives.
    pub(crate) parameters: Value,
    pub(crate) policy: Policy,
    pub(crate) rules: Vec<PolicyRule>,
    pub(crate) effect: Effect,
    /// For one attempt of a call that is carried out here.
    pub(crate) timeout: Duration,
    /// How much of an answer the model sees.
    pub(crate) max_result_bytes: usize,
    /// Arguments that are always these.
    pub(crate) defaults: BTreeMap<String, Value>,
    pub(crate) means: Means,
}

/// The kind of tools that are other agents.
pub(crate) const AGENT: &str = "agent";
/// The longest input of another agent, in characters: as UTF-8 it fits into a message.
const MAX_INPUT: usize = 65_536;

/// How a call is carried out.
#[derive(Debug)]
pub(crate) enum Means {
    /// By the tenant's application, which has so long to answer.
    Client { ttl_ms: i64 },
    /// By an HTTP endpoint.
    Http(Box<HttpTool>),
    /// By an MCP server, which calls the tool so.
    Mcp { server: Arc<McpServer>, tool: String },
    /// By a run of another agent: its name, or its id.
    Agent { agent: String },
    /// By the user's memory.
    Memory(MemoryAct),
    /// By a look at the clock.
    Time,
}

impl Ability {
    /// The kind of its tool, as the log tells it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.means {
            Means::Client { .. } => "client",
            Means::Http(_) => "http",
            Means::Mcp { .. } => "mcp",
            Means::Agent { .. } => AGENT,
            Means::Memory(_) | Means::Time => "builtin",
        }
    }

    /// Whether the model is told of it.
    pub(crate) fn is_offered(&self) -> bool {
        may_permit(self.policy, &self.rules)
    }

    /// Arguments without those that are always the same.
    pub(crate) fn without_defaults(&self, args: &Value) -> Value {
        let mut args = args.clone();
        if let Some(members) = args.as_object_mut() {
            members.retain(|name, _| !self.defaults.contains_key(name));
        }
        args
    }

    /// What is called with the arguments that a model, or a person, has given.
    pub(crate) fn with_defaults(&self, args: &Value) -> Value {
        let mut args = args.as_object().cloned().unwrap_or_default();
        args.extend(self.defaults.iter().map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(args)
    }
}

impl From<&Ability> for ModelTool {
    fn from(ability: &Ability) -> Self {
        Self {
            name: ability.name.clone(),
            description: ability.description.clone(),
            parameters: ability.parameters.clone(),
        }
    }
}

/// All that an agent can call. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Toolbox(Arc<[Arc<Ability>]>);

impl Toolbox {
    /// What this agent can call, with these servers, in a run that has so many above it. A name that the agent gives is never one that a server has chosen: of
    /// two tools of one name the agent's own is, else the first one.
    pub(crate) fn of(config: &AgentConfig, depth: i32, servers: &[StoredMcpServer]) -> Self {
        let most = usize::try_from(config.limits.max_tool_result_bytes).unwrap_or_default();
        let within = |tool: &&Tool| !matches!(tool, Tool::Agent(tool) if depth >= tool.max_depth);
        let tools = config.tools.iter().filter(within);
        let mut all: Vec<Ability> = tools.flat_map(|tool| abilities(tool, servers, most)).collect();
        let own: HashSet<String> = config.tools.iter().flat_map(Tool::names).map(str::to_owned).collect();
        let of_server = |ability: &Ability| match &ability.means {
            Means::Mcp { tool, .. } => ability.name == callable(tool),
            _ => false,
        };
        all.retain(|ability| !(of_server(ability) && own.contains(&ability.name)));
        let mut names = HashSet::new();
        all.retain(|ability| names.insert(ability.name.clone()));
        Self(all.into_iter().take(MAX_TOOLS).map(Arc::new).collect())
    }

    /// What the model is told of them.
    pub(crate) fn for_model(&self) -> Vec<ModelTool> {
        self.offered().map(ModelTool::from).collect()
    }

    /// The one of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Ability>> {
        self.0.iter().find(|ability| ability.name == name)
    }

    /// What the model may call.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &Ability> {
        self.0.iter().map(AsRef::as_ref).filter(|ability| ability.is_offered())
    }
}

/// The servers that an agent's tools name.
pub(crate) fn servers_named(config: &AgentConfig) -> Vec<String> {
    let named = config.tools.iter().filter_map(|tool| match tool {
        Tool::Mcp(tools) => Some(tools.server.clone()),
        Tool::Client(_) | Tool::Http(_) | Tool::Agent(_) | Tool::Builtin(_) => None,
    });
    named.collect()
}

fn abilities(tool: &Tool, servers: &[StoredMcpServer], most: usize) -> Vec<Ability> {
    match tool {
        Tool::Client(tool) => vec![Ability {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
            policy: tool.policy,
            rules: tool.policy_rules.clone(),
            effect: tool.effect,
            timeout: Duration::ZERO,
            max_result_bytes: most,
            defaults: BTreeMap::new(),
            means: Means::Client { ttl_ms: tool.ttl_ms },
        }],
        Tool::Http(tool) => vec![Ability {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: without(&tool.parameters, &tool.defaults),
            policy: tool.policy,
            rules: tool.policy_rules.clone(),
            effect: tool.effect,
            timeout: Duration::from_millis(tool.timeout_ms.unsigned_abs()),
            max_result_bytes: bytes(tool.max_result_bytes, most),
            defaults: tool.defaults.clone(),
            means: Means::Http(Box::new(tool.clone())),
        }],
        Tool::Mcp(tools) => {
            let is_it = |server: &&StoredMcpServer| {
                server.server.name == tools.server || server.server.id.to_string() == tools.server
            };
            servers.iter().find(is_it).map_or_else(Vec::new, |server| of_server(tools, server, most))
        }
        Tool::Agent(tool) => {
            let name = &tool.agent;
            let words = format!("Has the agent {name} work on something by itself, and answers what that came to.");
            let input = json!({"type": "string", "minLength": 1, "maxLength": MAX_INPUT,
                "description": "What it is to do, with everything that it has to know for that: it sees nothing else"});
            vec![Ability {
                name: tool.name.clone(),
                description: Some(tool.description.clone().unwrap_or(words)),
                parameters: object(&[("input", input)], &["input"]),
                policy: tool.policy,
                rules: tool.policy_rules.clone(),
                // One call is one run, whatever happens to the process that began it.
                effect: Effect::Idempotent,
                timeout: Duration::ZERO,
                max_result_bytes: bytes(tool.max_result_bytes, most),
                defaults: BTreeMap::new(),
                means: Means::Agent { agent: name.clone() },
            }]
        }
        Tool::Builtin(tool) => {
            let of = |name: &str, description: &str, parameters: Value, effect, means| Ability {
                name: name.to_owned(),
                description: Some(description.to_owned()),
                parameters,
                policy: tool.policy,
                rules: tool.policy_rules.clone(),
                effect,
                timeout: Duration::from_secs(5),
                max_result_bytes: most,
                defaults: BTreeMap::new(),
                means,
            };
            match tool.name {
                Builtin::Time => {
                    let words = "Tells the date and the time: in UTC, and in a time zone if one is named.";
                    let zone =
                        json!({"type": "string", "description": "IANA name, such as Europe/Berlin", "maxLength": 64});
                    vec![of("time", words, object(&[("timezone", zone)], &[]), Effect::Read, Means::Time)]
                }
                Builtin::Memory => memory(of),
            }
        }
    }
}

fn of_server(tools: &McpTools, server: &StoredMcpServer, most: usize) -> Vec<Ability> {
    let (shared, most) = (Arc::new(server.server.clone()), bytes(tools.max_result_bytes, most));
    let allowed = |tool: &&McpTool| tools.allowed_tools.as_ref().is_none_or(|names| names.contains(&tool.name));
    let ability = |tool: &McpTool| {
        let different = tools.overrides.get(&tool.name).cloned().unwrap_or_default();
        let defaults = different.defaults.unwrap_or_default();
        Ability {
            name: different.rename.unwrap_or_else(|| callable(&tool.name)),
            description: tool.description.clone(),
            parameters: without(&tool.parameters, &defaults),
            policy: different.policy.unwrap_or(tools.policy),
            rules: different.policy_rules.unwrap_or_else(|| tools.policy_rules.clone()),
            effect: different.effect.unwrap_or(tools.effect),
            timeout: Duration::from_millis(different.timeout_ms.unwrap_or(tools.timeout_ms).unsigned_abs()),
            max_result_bytes: most,
            defaults,
            means: Means::Mcp { server: shared.clone(), tool: tool.name.clone() },
        }
    };
    server.tools.iter().filter(allowed).map(ability).collect()
}

/// A name that providers take for one of a tool.
fn callable(name: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    name.chars().take(64).map(good).collect()
}

fn bytes(said: Option<i64>, most: usize) -> usize {
    said.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(most)
}

fn memory(of: impl Fn(&str, &str, Value, Effect, Means) -> Ability) -> Vec<Ability> {
    let key = || json!({"type": "string", "description": "What it is remembered under, such as preferences/language", "minLength": 1, "maxLength": 256});
    let prefix = json!({"type": "string", "description": "Only keys that begin so", "maxLength": 256});
    vec![
        of(
            "memory_get",
            "Recalls what is remembered of the user under a key, across conversations; null if nothing is.",
            object(&[("key", key())], &["key"]),
            Effect::Read,
            Means::Memory(MemoryAct::Get),
        ),
        of(
            "memory_set",
            "Remembers something of the user under a key, across conversations, in place of what was there.",
            object(
                &[("key", key()), ("value", json!({"description": "Any JSON of at most 16 KiB"}))],
                &["key", "value"],
            ),
            Effect::Idempotent,
            Means::Memory(MemoryAct::Set),
        ),
        of(
            "memory_list",
            "Lists the keys under which something is remembered of the user.",
            object(&[("prefix", prefix)], &[]),
            Effect::Read,
            Means::Memory(MemoryAct::List),
        ),
        of(
            "memory_delete",
            "Forgets what is remembered of the user under a key.",
            object(&[("key", key())], &["key"]),
            Effect::Idempotent,
            Means::Memory(MemoryAct::Delete),
        ),
    ]
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A schema without the arguments that are always the same.
fn without(schema: &Value, defaults: &BTreeMap<String, Value>) -> Value {
    let mut schema = schema.clone();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !defaults.contains_key(name));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_none_or(|name| !defaults.contains_key(name)));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_takes_no_name_of_the_agents_own() {
        let config: AgentConfig = serde_json::from_value(json!({"model": "a/b", "tools": [
            {"type": "mcp", "server": "kb", "overrides": {"odd": {"rename": "fine"}}},
            {"type": "http", "name": "refund", "policy": "ask", "request": {"method": "POST", "url": "https://shop.test/"}}]}))
        .expect("a configuration");
        let tool = |name: &str| {
            json!({"name": name, "description": null, "parameters": {"type": "object"},
                                       "annotations": null, "suggested_effect": "read"})
        };
        let server = json!({"id": headwater_protocol::McpServerId::new(), "object": "mcp_server", "name": "kb",
            "url": "https://kb.test/", "auth": {"type": "none"}, "status": "ok", "error": null, "protocol_version": null,
            "tools_fetched_at": null, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"});
        let server = StoredMcpServer {
            server: serde_json::from_value(server).expect("a server"),
            looked_at: None,
            tools: serde_json::from_value(json!([tool("refund"), tool("fine"), tool("odd"), tool("a.b")]))
                .expect("tools"),
        };
        let tools = Toolbox::of(&config, 0, &[server]);
        assert_eq!(tools.find("refund").map(|tool| tool.kind()), Some("http"));
        let Some(Means::Mcp { tool, .. }) = tools.find("fine").map(|tool| &tool.means) else { panic!("it is there") };
        assert_eq!(tool, "odd", "the name was given to that one");
        assert!(tools.find("a_b").is_some());
    }

    #[test]
    fn what_is_always_the_same_is_nothing_to_the_model() {
        let config: AgentConfig = serde_json::from_value(json!({"model": "a/b", "tools": [{
            "type": "http", "name": "refund", "defaults": {"currency": "EUR"},
            "parameters": {"type": "object", "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}},
                           "required": ["amount", "currency"]},
            "request": {"method": "POST", "url": "https://shop.test/"}}]}))
        .expect("a configuration");
        let tools = Toolbox::of(&config, 0, &[]);
        let refund = tools.find("refund").expect("it is there");
        assert_eq!(refund.parameters["properties"], json!({"amount": {"type": "number"}}));
        assert_eq!(refund.parameters["required"], json!(["amount"]));
        let called = refund.with_defaults(&json!({"amount": 7, "currency": "USD"}));
        assert_eq!(called, json!({"amount": 7, "currency": "EUR"}), "and it cannot set it");
    }
}
