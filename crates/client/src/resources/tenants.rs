//! The tenant itself, its usage, and what the operator may do with tenants.

use headwater_protocol::api::{
    ApiKey, Doctor, KeyParams, Limiter, List, QuietStatus, Tenant, TenantSettings, UsageCall, UsageGroup,
};
use headwater_protocol::{KeyId, TenantId};
use serde::Serialize;

use crate::{Client, Error, ListOptions, Options, UsageQuery};

impl Client {
    /// The calling tenant.
    pub async fn tenant_get(&self) -> Result<Tenant, Error> {
        self.get(&["tenant"]).await
    }

    /// Changes the calling tenant by a JSON merge patch (RFC 7396).
    pub async fn tenant_update(&self, patch: &impl Serialize) -> Result<Tenant, Error> {
        self.patch(&["tenant"], patch).await
    }

    /// What was used and what it cost, in groups.
    pub async fn usage(&self, query: UsageQuery) -> Result<List<UsageGroup>, Error> {
        self.list(&["usage"], query.into_query()).await
    }

    /// The ledger, a line per model call. `group_by` has no meaning here.
    pub async fn usage_calls(&self, query: UsageQuery) -> Result<List<UsageCall>, Error> {
        self.list(&["usage", "calls"], query.into_query()).await
    }

    /// Operator: makes a tenant.
    pub async fn tenants_create(&self, settings: &TenantSettings, options: Options) -> Result<Tenant, Error> {
        self.post(&["tenants"], settings, options).await
    }

    /// Operator: tenants.
    pub async fn tenants_list(&self, page: ListOptions) -> Result<List<Tenant>, Error> {
        self.list(&["tenants"], page.into_query()).await
    }

    /// Operator: a tenant.
    pub async fn tenants_get(&self, tenant: TenantId) -> Result<Tenant, Error> {
        self.get(&["tenants", &tenant.to_string()]).await
    }

    /// Operator: changes a tenant by a JSON merge patch (RFC 7396).
    pub async fn tenants_update(&self, tenant: TenantId, patch: &impl Serialize) -> Result<Tenant, Error> {
        self.patch(&["tenants", &tenant.to_string()], patch).await
    }

    /// Operator: deletes a tenant with all that is its.
    pub async fn tenants_delete(&self, tenant: TenantId) -> Result<(), Error> {
        self.delete(&["tenants", &tenant.to_string()]).await
    }

    /// Operator: makes a key of a tenant. Its `secret` is in this answer only.
    pub async fn tenant_keys_create(
        &self,
        tenant: TenantId,
        params: &KeyParams,
        options: Options,
    ) -> Result<ApiKey, Error> {
        self.post(&["tenants", &tenant.to_string(), "keys"], params, options).await
    }

    /// Operator: the keys of a tenant.
    pub async fn tenant_keys_list(&self, tenant: TenantId, page: ListOptions) -> Result<List<ApiKey>, Error> {
        self.list(&["tenants", &tenant.to_string(), "keys"], page.into_query()).await
    }

    /// Operator: revokes a key; on every replica within seconds.
    pub async fn tenant_keys_revoke(&self, tenant: TenantId, key: KeyId) -> Result<(), Error> {
        self.delete(&["tenants", &tenant.to_string(), "keys", &key.to_string()]).await
    }

    /// Operator: what a tenant used and what it cost, in groups, as the tenant sees it.
    pub async fn tenant_usage(&self, tenant: TenantId, query: UsageQuery) -> Result<List<UsageGroup>, Error> {
        self.list(&["tenants", &tenant.to_string(), "usage"], query.into_query()).await
    }

    /// Operator: what goes on at the model providers, as the process that answers sees it.
    pub async fn limiter_get(&self) -> Result<Limiter, Error> {
        self.get(&["limiter"]).await
    }

    /// Operator: whether the process that answers is quiet, and what keeps it awake.
    pub async fn quiet_get(&self) -> Result<QuietStatus, Error> {
        self.get(&["quiet"]).await
    }

    /// Operator: what the doctor has found, as far as a running server can look.
    pub async fn doctor_get(&self) -> Result<Doctor, Error> {
        self.get(&["doctor"]).await
    }
}
