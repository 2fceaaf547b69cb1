//! `headwater key create|list|revoke`: a tenant's keys, made by the operator over HTTP.

use clap::{Args, Subcommand};
use headwater_client::protocol::api::{ApiKey, KeyParams};
use headwater_client::protocol::{KeyId, TenantId};
use headwater_client::{Client, Error, ListOptions, Options, Order};

use super::remote::{Credential, Remote, RemoteArgs};
use super::{output, tenant};

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key; prints its secret, this once
    Create {
        /// The tenant's id or name
        tenant: String,
        /// What the key is for
        #[arg(long, default_value = "cli")]
        name: String,
        /// What it may do, such as runs:write,threads:read; everything unless given
        #[arg(long, value_delimiter = ',')]
        scopes: Option<Vec<String>>,
    },
    /// List a tenant's keys
    List {
        /// The tenant's id or name
        tenant: String,
    },
    /// Revoke a key, on every replica within seconds
    Revoke {
        /// The tenant's id or name
        tenant: String,
        /// The key's id
        key: KeyId,
    },
}

pub(super) async fn run(args: KeyArgs) -> anyhow::Result<()> {
    let remote = Remote::find(&args.remote, Credential::Operator, None)?;
    match args.command {
        KeyCommand::Create { tenant, name, scopes } => {
            let tenant = tenant::named(&remote, &tenant).await?;
            let params = KeyParams { name, scopes, expires_at: None };
            let made = remote.client.tenant_keys_create(tenant, &params, Options::new()).await;
            let key = made.map_err(|error| remote.explain(error))?;
            output::note(&format!("made {} of {tenant}; its secret is shown this once:", key.id));
            output::line(key.secret.as_deref().unwrap_or_default())?;
        }
        KeyCommand::List { tenant } => {
            let tenant = tenant::named(&remote, &tenant).await?;
            let keys = all(&remote.client, tenant).await.map_err(|error| remote.explain(error))?;
            let row = |key: ApiKey| {
                let state = key.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
                vec![key.id.to_string(), key.hint, state, key.scopes.join(","), key.name]
            };
            output::print(&output::table(&keys.into_iter().map(row).collect::<Vec<_>>()))?;
        }
        KeyCommand::Revoke { tenant, key } => {
            let tenant = tenant::named(&remote, &tenant).await?;
            // The SDK takes what is not there for done; a person who mistyped an id wants to know.
            let keys = all(&remote.client, tenant).await.map_err(|error| remote.explain(error))?;
            if !keys.iter().any(|found| found.id == key) {
                anyhow::bail!("{tenant} has no key {key}; `{} key list {tenant}` shows which it has", super::myself());
            }
            remote.client.tenant_keys_revoke(tenant, key).await.map_err(|error| remote.explain(error))?;
            output::note(&format!("revoked {key}"));
        }
    }
    Ok(())
}

/// Every key of a tenant, the oldest first.
pub(super) async fn all(client: &Client, tenant: TenantId) -> Result<Vec<ApiKey>, Error> {
    let mut keys = Vec::new();
    let mut page = ListOptions::new().limit(100).order(Order::Asc);
    loop {
        let list = client.tenant_keys_list(tenant, page.clone()).await?;
        keys.extend(list.data);
        match list.next_cursor {
            Some(next) => page = page.after(next),
            None => return Ok(keys),
        }
    }
}
