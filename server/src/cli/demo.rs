//! What `headwater dev` makes for a newcomer: tenant `demo`, user `alice`, agent `assistant`, and a key that works.
//!
//! Done over HTTP with the operator key, as an operator would, on a server that is up. Done at each start, and changes
//! nothing that is as it should be: a key that still works is kept, an agent that somebody has edited stays edited.

use anyhow::Context as _;
use headwater_client::protocol::api::{Agent, AgentConfig, KeyParams, UserSettings};
use headwater_client::protocol::{TenantId, UserId};
use headwater_client::{AgentParams, Client, Error, Options};
use serde_json::json;

use super::{key, remote, tenant};

/// The names of what is made.
pub(super) const TENANT: &str = "demo";
pub(super) const USER: &str = "alice";
pub(super) const AGENT: &str = "assistant";

const INSTRUCTIONS: &str = "You are a helpful assistant. Answer in plain words and be brief.";

/// The model of the agent, and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    /// `PROVIDER/model-id`.
    id: String,
    /// Somebody asked for just this one.
    asked_for: bool,
}

impl Model {
    /// OpenAI's if there is a key for it (or an address that needs none, and a model to ask it for), else the built-in
    /// one.
    pub(super) fn choose(env: impl Fn(&str) -> Option<String>) -> Self {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let asked = env("OPENAI_MODEL");
        if env("OPENAI_API_KEY").is_none() && (asked.is_none() || env("OPENAI_BASE_URL").is_none()) {
            return Self { id: "scripted/demo".into(), asked_for: false };
        }
        let model = asked.as_deref().unwrap_or("gpt-5-mini").trim();
        // Both ways of writing it are understood.
        Self { id: format!("openai/{}", model.trim_start_matches("openai/")), asked_for: asked.is_some() }
    }

    /// Whether an agent with this model is to have ours instead: where its own comes from the other source, which is
    /// no longer (or not yet) the one to use. What somebody set by hand stays.
    fn replaces(&self, current: &str) -> bool {
        let source = |model: &str| model.split('/').next().map(str::to_owned);
        let other = if self.id.starts_with("scripted/") { "openai" } else { "scripted" };
        current != self.id && (self.asked_for || source(current).as_deref() == Some(other))
    }
}

/// What is there for sure.
#[derive(Debug)]
pub(super) struct Demo {
    /// Its tenant.
    pub(super) tenant: TenantId,
    /// Alice.
    pub(super) user: UserId,
    /// A key of the tenant.
    pub(super) key: String,
    /// The model that the agent uses.
    pub(super) model: String,
}

/// Makes what is not there, on the server at `url`.
pub(super) async fn prepare(
    url: &str,
    operator_key: &str,
    last_key: Option<&String>,
    place: &str,
    model: &Model,
) -> anyhow::Result<Demo> {
    let operator = remote::client(url, operator_key, None)?;
    let tenant = find_tenant(&operator).await.context("could not make the tenant demo")?;
    let key = match last_key {
        Some(key) if works(url, key, tenant).await => key.clone(),
        Some(_) | None => make_key(&operator, tenant, place).await.context("could not make a key for it")?,
    };
    let client = remote::client(url, &key, None)?;
    let user = make_user(&client).await.context("could not make the user alice")?;
    let agent = make_agent(&client, model).await.context("could not make the agent assistant")?;
    Ok(Demo { tenant, user, key, model: agent.config.model })
}

async fn find_tenant(operator: &Client) -> Result<TenantId, Error> {
    if let Some(found) = tenant::all(operator).await?.into_iter().find(|found| found.name == TENANT) {
        return Ok(found.id);
    }
    operator.tenants_create(&tenant::settings(TENANT), Options::new()).await.map(|made| made.id)
}

/// Whether a key of an earlier start is still good for everything.
async fn works(url: &str, key: &str, tenant: TenantId) -> bool {
    let Ok(client) = remote::client(url, key, None) else { return false };
    client.me().await.is_ok_and(|me| me.tenant == tenant && me.scopes.iter().any(|scope| scope == "*"))
}

/// A new key, in place of those of this data directory whose secrets nobody knows any more.
async fn make_key(operator: &Client, tenant: TenantId, place: &str) -> anyhow::Result<String> {
    let name: String = format!("dev {place}").chars().filter(|c| !c.is_control()).take(128).collect();
    for old in key::all(operator, tenant).await?.iter().filter(|key| key.name == name && key.revoked_at.is_none()) {
        operator.tenant_keys_revoke(tenant, old.id).await?;
    }
    let params = KeyParams { name, scopes: None, expires_at: None };
    let made = operator.tenant_keys_create(tenant, &params, Options::new()).await?;
    made.secret.context("the server made a key without a secret")
}

async fn make_user(client: &Client) -> Result<UserId, Error> {
    match client.users_get(USER).await {
        Ok(user) => Ok(user.id),
        Err(error) if is_absent(&error) => {
            let settings: UserSettings = serde_json::from_value(json!({ "external_id": USER, "name": "Alice" }))
                .expect("all else has a default");
            client.users_create(&settings, Options::new()).await.map(|user| user.id)
        }
        Err(error) => Err(error),
    }
}

fn is_absent(error: &Error) -> bool {
    error.problem().is_some_and(|problem| problem.status == 404)
}

async fn make_agent(client: &Client, model: &Model) -> Result<Agent, Error> {
    match client.agents_get(AGENT).await {
        Ok(agent) if model.replaces(&agent.config.model) => {
            client.agents_update(AGENT, &json!({ "model": model.id })).await
        }
        Err(error) if is_absent(&error) => {
            let mut config = AgentConfig::with_model(&model.id);
            config.instructions = Some(INSTRUCTIONS.into());
            client.agents_create(&AgentParams::new(AGENT, config), Options::new()).await
        }
        got => got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(env: &[(&str, &str)]) -> Model {
        Model::choose(|name| env.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_model_follows_the_key() {
        assert_eq!(choose(&[]).id, "scripted/demo");
        assert_eq!(choose(&[("OPENAI_API_KEY", " ")]).id, "scripted/demo");
        assert_eq!(choose(&[("OPENAI_BASE_URL", "http://x")]).id, "scripted/demo");
        assert_eq!(choose(&[("OPENAI_BASE_URL", "http://x"), ("OPENAI_MODEL", "m")]).id, "openai/m");
        assert_eq!(choose(&[("OPENAI_API_KEY", "sk")]).id, "openai/gpt-5-mini");
        assert_eq!(choose(&[("OPENAI_API_KEY", "sk"), ("OPENAI_MODEL", "openai/x/y")]).id, "openai/x/y");
    }

    #[test]
    fn an_agent_changes_its_model_with_the_source_only() {
        let (scripted, openai) = (choose(&[]), choose(&[("OPENAI_API_KEY", "sk")]));
        assert!(scripted.replaces("openai/gpt-5-mini") && openai.replaces("scripted/demo"));
        assert!(!scripted.replaces("scripted/echo") && !openai.replaces("openai/gpt-5") && !openai.replaces("local/x"));
        let asked = choose(&[("OPENAI_API_KEY", "sk"), ("OPENAI_MODEL", "gpt-5")]);
        assert!(asked.replaces("openai/gpt-5-mini") && !asked.replaces("openai/gpt-5"));
    }
}
