//! `headwater tenant create|list`: the operator's work, over HTTP.

use clap::{Args, Subcommand};
use headwater_client::protocol::TenantId;
use headwater_client::protocol::api::{Tenant, TenantSettings, TenantStatus};
use headwater_client::{Client, Error, ListOptions, Options, Order};

use super::remote::{Credential, Remote, RemoteArgs};
use super::{myself, output};

#[derive(Debug, Args)]
pub(super) struct TenantArgs {
    #[command(subcommand)]
    command: TenantCommand,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
enum TenantCommand {
    /// Make a tenant; prints its id
    Create {
        /// Its name: 1 to 128 characters
        name: String,
    },
    /// List the tenants
    List,
}

pub(super) async fn run(args: TenantArgs) -> anyhow::Result<()> {
    let remote = Remote::find(&args.remote, Credential::Operator, None)?;
    match args.command {
        TenantCommand::Create { name } => {
            let made = remote.client.tenants_create(&settings(&name), Options::new()).await;
            let tenant = made.map_err(|error| remote.explain(error))?;
            output::line(&tenant.id.to_string())?;
            output::note(&format!("made tenant {name}; a key for it: {} key create {}", myself(), tenant.id));
        }
        TenantCommand::List => {
            let tenants = all(&remote.client).await.map_err(|error| remote.explain(error))?;
            let row = |tenant: Tenant| {
                let status = match tenant.status {
                    TenantStatus::Active => "active",
                    TenantStatus::Suspended => "suspended",
                };
                vec![tenant.id.to_string(), status.into(), tenant.created_at.to_string(), tenant.name]
            };
            output::print(&output::table(&tenants.into_iter().map(row).collect::<Vec<_>>()))?;
        }
    }
    Ok(())
}

/// A tenant of this name, all else as usual.
pub(super) fn settings(name: &str) -> TenantSettings {
    serde_json::from_value(serde_json::json!({ "name": name })).expect("all else has a default")
}

/// Every tenant, the oldest first.
pub(super) async fn all(client: &Client) -> Result<Vec<Tenant>, Error> {
    let mut tenants = Vec::new();
    let mut page = ListOptions::new().limit(100).order(Order::Asc);
    loop {
        let list = client.tenants_list(page.clone()).await?;
        tenants.extend(list.data);
        match list.next_cursor {
            Some(next) => page = page.after(next),
            None => return Ok(tenants),
        }
    }
}

/// The tenant of this id or, if there is exactly one, this name.
pub(super) async fn named(remote: &Remote, tenant: &str) -> anyhow::Result<TenantId> {
    if let Ok(id) = tenant.parse() {
        return Ok(id);
    }
    let tenants = all(&remote.client).await.map_err(|error| remote.explain(error))?;
    let ids: Vec<TenantId> = tenants.into_iter().filter(|found| found.name == tenant).map(|found| found.id).collect();
    match ids[..] {
        [id] => Ok(id),
        [] => anyhow::bail!("there is no tenant {tenant}; `{} tenant list` shows which there are", myself()),
        _ => anyhow::bail!("{} tenants are named {tenant}; name one by its id (`{} tenant list`)", ids.len(), myself()),
    }
}
