//! Limits on what calls of models may cost: a tenant's own, and its operator's.

use headwater_protocol::api::{Budget, BudgetParams, BudgetUpdate, List, ResumeParams, Run};
use headwater_protocol::{BudgetId, RunId, TenantId};

use crate::{Client, Error, ListOptions, Options};

impl Client {
    /// Makes a budget. It counts from now on.
    pub async fn budgets_create(&self, params: &BudgetParams, options: Options) -> Result<Budget, Error> {
        self.post(&["budgets"], params, options).await
    }

    /// One budget, with what was spent of it in this window.
    pub async fn budgets_get(&self, budget: BudgetId) -> Result<Budget, Error> {
        self.get(&["budgets", &budget.to_string()]).await
    }

    /// Budgets; filter `user`: those that cover it as a user, with its counters.
    pub async fn budgets_list(&self, page: ListOptions) -> Result<List<Budget>, Error> {
        self.list(&["budgets"], page.into_query()).await
    }

    /// Changes a budget. Runs that wait for it look again.
    pub async fn budgets_update(&self, budget: BudgetId, change: &BudgetUpdate) -> Result<Budget, Error> {
        self.patch(&["budgets", &budget.to_string()], change).await
    }

    /// Removes a budget, with what was counted of it.
    pub async fn budgets_delete(&self, budget: BudgetId) -> Result<(), Error> {
        self.delete(&["budgets", &budget.to_string()]).await
    }

    /// Makes a budget of the operator's for a tenant, who sees it and cannot change it.
    pub async fn tenant_budgets_create(
        &self,
        tenant: TenantId,
        params: &BudgetParams,
        options: Options,
    ) -> Result<Budget, Error> {
        self.post(&["tenants", &tenant.to_string(), "budgets"], params, options).await
    }

    /// One budget of a tenant.
    pub async fn tenant_budgets_get(&self, tenant: TenantId, budget: BudgetId) -> Result<Budget, Error> {
        self.get(&["tenants", &tenant.to_string(), "budgets", &budget.to_string()]).await
    }

    /// A tenant's budgets, its own included.
    pub async fn tenant_budgets_list(&self, tenant: TenantId, page: ListOptions) -> Result<List<Budget>, Error> {
        self.list(&["tenants", &tenant.to_string(), "budgets"], page.into_query()).await
    }

    /// Changes a budget of the operator's.
    pub async fn tenant_budgets_update(
        &self,
        tenant: TenantId,
        budget: BudgetId,
        change: &BudgetUpdate,
    ) -> Result<Budget, Error> {
        self.patch(&["tenants", &tenant.to_string(), "budgets", &budget.to_string()], change).await
    }

    /// Removes a budget of the operator's.
    pub async fn tenant_budgets_delete(&self, tenant: TenantId, budget: BudgetId) -> Result<(), Error> {
        self.delete(&["tenants", &tenant.to_string(), "budgets", &budget.to_string()]).await
    }

    /// Lets a run go on that waits for money: with another model, with more for itself, or as it is.
    pub async fn runs_resume(&self, run: RunId, params: &ResumeParams, options: Options) -> Result<Run, Error> {
        self.post(&["runs", &run.to_string(), "resume"], params, options).await
    }
}
