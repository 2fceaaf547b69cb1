//! What tools need and leave behind: secrets, MCP servers, the user's memory, artifacts.

use bytes::Bytes;
use headwater_protocol::api::{
    Artifact, List, McpServer, McpServerParams, McpTool, MemoryEntry, MemoryParams, ProviderKey, ProviderKeyParams,
    Secret, SecretParams,
};
use headwater_protocol::{ArtifactId, McpServerId};
use reqwest::Method;
use serde::Serialize;

use crate::call::Call;
use crate::{Client, Error, ListOptions, Options};

impl Client {
    /// Names of a tenant's secrets. Values are never shown.
    pub async fn secrets_list(&self) -> Result<List<Secret>, Error> {
        self.get(&["secrets"]).await
    }

    /// Keeps a secret under this name, in place of the one before.
    pub async fn secrets_put(&self, name: &str, params: &SecretParams) -> Result<Secret, Error> {
        self.put(&["secrets", name], params).await
    }

    /// Forgets a secret.
    pub async fn secrets_delete(&self, name: &str) -> Result<(), Error> {
        self.delete(&["secrets", name]).await
    }

    /// Providers at which the tenant has a key of its own.
    pub async fn provider_keys_list(&self) -> Result<List<ProviderKey>, Error> {
        self.get(&["provider_keys"]).await
    }

    /// Keeps the tenant's own key at a provider, to be used instead of the platform's.
    pub async fn provider_keys_put(&self, provider: &str, params: &ProviderKeyParams) -> Result<ProviderKey, Error> {
        self.put(&["provider_keys", provider], params).await
    }

    /// Forgets a key.
    pub async fn provider_keys_delete(&self, provider: &str) -> Result<(), Error> {
        self.delete(&["provider_keys", provider]).await
    }

    /// Makes an MCP server known, and looks at its tools.
    pub async fn mcp_servers_create(&self, params: &McpServerParams, options: Options) -> Result<McpServer, Error> {
        self.post(&["mcp_servers"], params, options).await
    }

    /// One of them.
    pub async fn mcp_servers_get(&self, server: McpServerId) -> Result<McpServer, Error> {
        self.get(&["mcp_servers", &server.to_string()]).await
    }

    /// All of them, a page at a time.
    pub async fn mcp_servers_list(&self, page: ListOptions) -> Result<List<McpServer>, Error> {
        self.list(&["mcp_servers"], page.into_query()).await
    }

    /// Changes one by a JSON merge patch (RFC 7396).
    pub async fn mcp_servers_update(&self, server: McpServerId, patch: &impl Serialize) -> Result<McpServer, Error> {
        self.patch(&["mcp_servers", &server.to_string()], patch).await
    }

    /// Looks at its tools anew.
    pub async fn mcp_servers_refresh(&self, server: McpServerId, options: Options) -> Result<McpServer, Error> {
        self.post(&["mcp_servers", &server.to_string(), "refresh"], &serde_json::json!({}), options).await
    }

    /// Its tools, as it listed them last.
    pub async fn mcp_server_tools_list(&self, server: McpServerId) -> Result<List<McpTool>, Error> {
        self.get(&["mcp_servers", &server.to_string(), "tools"]).await
    }

    /// Forgets one.
    pub async fn mcp_servers_delete(&self, server: McpServerId) -> Result<(), Error> {
        self.delete(&["mcp_servers", &server.to_string()]).await
    }

    /// What is remembered of the user; the filter `prefix` is on keys.
    pub async fn memory_list(&self, page: ListOptions) -> Result<List<MemoryEntry>, Error> {
        self.list(&["memory"], page.into_query()).await
    }

    /// What is remembered under a key.
    pub async fn memory_get(&self, key: &str) -> Result<MemoryEntry, Error> {
        self.get(&["memory", key]).await
    }

    /// Remembers something under a key, in place of what was there.
    pub async fn memory_put(&self, key: &str, params: &MemoryParams) -> Result<MemoryEntry, Error> {
        self.put(&["memory", key], params).await
    }

    /// Forgets what is remembered under a key.
    pub async fn memory_delete(&self, key: &str) -> Result<(), Error> {
        self.delete(&["memory", key]).await
    }

    /// Uploads something that a message is to show: at most 8 MiB. It is forgotten after a day in which no message shows it.
    pub async fn artifacts_create(
        &self,
        content: impl Into<Bytes>,
        media_type: &str,
        filename: Option<&str>,
        options: Options,
    ) -> Result<Artifact, Error> {
        let mut url = self.url(&["artifacts"])?;
        if let Some(filename) = filename {
            url.query_pairs_mut().append_pair("filename", filename);
        }
        self.send(Call::upload(url, content.into(), media_type, options)?).await
    }

    /// What an artifact is.
    pub async fn artifacts_get(&self, artifact: ArtifactId) -> Result<Artifact, Error> {
        self.get(&["artifacts", &artifact.to_string()]).await
    }

    /// What is in it: at most 8 MiB.
    pub async fn artifacts_content(&self, artifact: ArtifactId) -> Result<Bytes, Error> {
        let url = self.url(&["artifacts", &artifact.to_string(), "content"])?;
        self.send_raw(&Call::new(Method::GET, url).bytes()).await
    }
}
