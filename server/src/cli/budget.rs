//! `headwater budget list|create|limit|delete`: what a tenant's calls may cost, over HTTP: the operator's limits where a tenant
//! is named, else the tenant's own.

use clap::{Args, Subcommand, ValueEnum};
use headwater_client::protocol::api::{
    Budget, BudgetMode, BudgetOwner, BudgetParams, BudgetScope, BudgetScopeType, BudgetUpdate, BudgetWindow, List,
};
use headwater_client::protocol::{BudgetId, Money, TenantId};
use headwater_client::{Error, ListOptions, Options, Order};

use super::remote::{Credential, Remote, RemoteArgs};
use super::{output, tenant};

#[derive(Debug, Args)]
pub(super) struct BudgetArgs {
    #[command(subcommand)]
    command: BudgetCommand,
    /// As the operator, for the tenant of this id or name
    #[arg(long, global = true)]
    tenant: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
enum BudgetCommand {
    /// List budgets, and what was spent of them
    List,
    /// Make a budget; prints its id
    Create {
        /// In US dollars, such as 25 or 0.5
        #[arg(value_parser = usd)]
        limit: Money,
        /// Whose calls: tenant, each_user, or the id of a user (usr_…) or an agent (agt_…)
        #[arg(long, default_value = "tenant", value_parser = scope)]
        scope: BudgetScope,
        /// What the limit is for
        #[arg(long, value_enum, default_value_t = Per::Month)]
        per: Per,
        /// Only tell runs of it, and stop none
        #[arg(long)]
        soft: bool,
        /// Take every byte for a token where a model's vocabulary is not public
        #[arg(long)]
        strict: bool,
    },
    /// Change a budget's limit; runs that wait for it go on
    Limit {
        /// The budget's id
        budget: BudgetId,
        /// In US dollars
        #[arg(value_parser = usd)]
        limit: Money,
    },
    /// Remove a budget
    Delete {
        /// The budget's id
        budget: BudgetId,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Per {
    Day,
    Month,
    Total,
}

fn usd(text: &str) -> Result<Money, String> {
    Money::from_usd(text).ok_or_else(|| "must be US dollars with at most nine decimals".to_owned())
}

fn scope(text: &str) -> Result<BudgetScope, String> {
    let (r#type, id) = match text {
        "tenant" => (BudgetScopeType::Tenant, None),
        "each_user" => (BudgetScopeType::EachUser, None),
        _ if text.starts_with("usr_") => (BudgetScopeType::User, Some(text.to_owned())),
        _ if text.starts_with("agt_") => (BudgetScopeType::Agent, Some(text.to_owned())),
        _ => return Err("must be tenant, each_user, or the id of a user (usr_…) or an agent (agt_…)".to_owned()),
    };
    Ok(BudgetScope { r#type, id })
}

pub(super) async fn run(args: BudgetArgs) -> anyhow::Result<()> {
    let credential = if args.tenant.is_some() { Credential::Operator } else { Credential::Tenant };
    let remote = Remote::find(&args.remote, credential, None)?;
    let tenant = match &args.tenant {
        Some(name) => Some(tenant::named(&remote, name).await?),
        None => None,
    };
    let client = &remote.client;
    match args.command {
        BudgetCommand::List => {
            let budgets = all(&remote, tenant).await.map_err(|error| remote.explain(error))?;
            output::print(&output::table(&budgets.iter().map(row).collect::<Vec<_>>()))?;
        }
        BudgetCommand::Create { limit, scope, per, soft, strict } => {
            let window = match per {
                Per::Day => BudgetWindow::Day,
                Per::Month => BudgetWindow::Month,
                Per::Total => BudgetWindow::Total,
            };
            let mode = if soft { BudgetMode::Soft } else { BudgetMode::Hard };
            let params = BudgetParams { scope, mode, strict, window, limit, warn_at_percent: 80 };
            let made = match tenant {
                Some(tenant) => client.tenant_budgets_create(tenant, &params, Options::new()).await,
                None => client.budgets_create(&params, Options::new()).await,
            };
            output::line(&made.map_err(|error| remote.explain(error))?.id.to_string())?;
        }
        BudgetCommand::Limit { budget, limit } => {
            let change = BudgetUpdate { limit: Some(limit), ..BudgetUpdate::default() };
            let changed = match tenant {
                Some(tenant) => client.tenant_budgets_update(tenant, budget, &change).await,
                None => client.budgets_update(budget, &change).await,
            };
            output::print(&output::table(&[row(&changed.map_err(|error| remote.explain(error))?)]))?;
        }
        BudgetCommand::Delete { budget } => {
            let gone = match tenant {
                Some(tenant) => client.tenant_budgets_delete(tenant, budget).await,
                None => client.budgets_delete(budget).await,
            };
            gone.map_err(|error| remote.explain(error))?;
        }
    }
    Ok(())
}

/// Every budget, the oldest first.
async fn all(remote: &Remote, tenant: Option<TenantId>) -> Result<Vec<Budget>, Error> {
    let mut budgets = Vec::new();
    let mut page = ListOptions::new().limit(100).order(Order::Asc);
    loop {
        let list: List<Budget> = match tenant {
            Some(tenant) => remote.client.tenant_budgets_list(tenant, page.clone()).await?,
            None => remote.client.budgets_list(page.clone()).await?,
        };
        budgets.extend(list.data);
        match list.next_cursor {
            Some(next) => page = page.after(next),
            None => return Ok(budgets),
        }
    }
}

fn row(budget: &Budget) -> Vec<String> {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let money = |money: Option<Money>| money.map_or_else(|| "-".to_owned(), |money| format!("${}", money.usd()));
    let owner = match budget.owner {
        BudgetOwner::Operator => "operator",
        BudgetOwner::Tenant => "tenant",
    };
    let scope = budget.scope.id.clone().unwrap_or_else(|| word(serde_json::to_value(budget.scope.r#type)));
    vec![
        budget.id.to_string(),
        owner.to_owned(),
        scope,
        word(serde_json::to_value(budget.mode)),
        word(serde_json::to_value(budget.window)),
        money(Some(budget.limit)),
        money(budget.spent),
        budget.status.map_or_else(|| "-".to_owned(), |status| word(serde_json::to_value(status))),
    ]
}
