//! Agents.

use headwater_protocol::api::{Agent, AgentSummary, List};
use serde::Serialize;

use crate::{AgentParams, Client, Error, ListOptions, Options};

impl Client {
    /// Makes an agent. `params` is mostly an [`AgentParams`].
    ///
    /// ```no_run
    /// # use headwater_client::{AgentParams, Client, Error, Options, protocol::api::AgentConfig};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let mut config = AgentConfig::with_model("openai/gpt-5-mini");
    /// config.instructions = Some("You help Acme's customers.".into());
    /// let agent = client.agents_create(&AgentParams::new("assistant", config), Options::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn agents_create(&self, params: &AgentParams, options: Options) -> Result<Agent, Error> {
        self.post(&["agents"], params, options).await
    }

    /// Makes the agent of this name, or gives it this configuration (a new version only if it differs). `body` is an
    /// [`AgentParams`] without a name, or any JSON object of its fields.
    pub async fn agents_put(&self, name: &str, body: &impl Serialize) -> Result<Agent, Error> {
        self.put(&["agents", name], body).await
    }

    /// An agent by id or name. User tokens see an [`AgentSummary`]: [`Client::agents_get_summary`].
    pub async fn agents_get(&self, agent: &str) -> Result<Agent, Error> {
        self.get(&["agents", agent]).await
    }

    /// What everybody may see of an agent.
    pub async fn agents_get_summary(&self, agent: &str) -> Result<AgentSummary, Error> {
        self.get(&["agents", agent]).await
    }

    /// Agents; filter `archived`. User tokens see summaries: [`Client::agents_list_summaries`].
    pub async fn agents_list(&self, page: ListOptions) -> Result<List<Agent>, Error> {
        self.list(&["agents"], page.into_query()).await
    }

    /// What everybody may see of the agents.
    pub async fn agents_list_summaries(&self, page: ListOptions) -> Result<List<AgentSummary>, Error> {
        self.list(&["agents"], page.into_query()).await
    }

    /// Changes an agent by a JSON merge patch (RFC 7396); a change of configuration makes the next version.
    pub async fn agents_update(&self, agent: &str, patch: &impl Serialize) -> Result<Agent, Error> {
        self.patch(&["agents", agent], patch).await
    }

    /// Archives an agent: no new runs, its history stays, its name is free again.
    pub async fn agents_archive(&self, agent: &str) -> Result<(), Error> {
        self.delete(&["agents", agent]).await
    }
}
