//! The operator's plans and prices.

use headwater_protocol::TenantId;
use headwater_protocol::api::{List, Plan, PlanTerms, TenantPrices};

use crate::{Client, Error};

impl Client {
    /// All plans, by name.
    pub async fn plans_list(&self) -> Result<List<Plan>, Error> {
        self.get(&["plans"]).await
    }

    /// One plan.
    pub async fn plans_get(&self, plan: &str) -> Result<Plan, Error> {
        self.get(&["plans", plan]).await
    }

    /// Makes a plan, or changes it for all tenants that are on it.
    pub async fn plans_put(&self, plan: &str, terms: &PlanTerms) -> Result<Plan, Error> {
        self.put(&["plans", plan], terms).await
    }

    /// What a tenant pays otherwise than the table of prices says.
    pub async fn tenant_prices_get(&self, tenant: TenantId) -> Result<TenantPrices, Error> {
        self.get(&["tenants", &tenant.to_string(), "prices"]).await
    }

    /// Sets what a tenant pays from now on.
    pub async fn tenant_prices_put(&self, tenant: TenantId, prices: &TenantPrices) -> Result<TenantPrices, Error> {
        self.put(&["tenants", &tenant.to_string(), "prices"], prices).await
    }
}
