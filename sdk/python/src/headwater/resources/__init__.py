"""The resources of the API, each with its operations.

Generated from the OpenAPI document by scripts/generate.py: do not edit.
"""

from __future__ import annotations

from .._resource import AsyncResource, SyncResource
from .agent_versions import AsyncAgentVersionsResource, AgentVersionsResource
from .agents import AsyncAgentsResource, AgentsResource
from .approvals import AsyncApprovalsResource, ApprovalsResource
from .artifacts import AsyncArtifactsResource, ArtifactsResource
from .budgets import AsyncBudgetsResource, BudgetsResource
from .doctor import AsyncDoctorResource, DoctorResource
from .issuers import AsyncIssuersResource, IssuersResource
from .limiter import AsyncLimiterResource, LimiterResource
from .mcp_server_tools import AsyncMcpServerToolsResource, McpServerToolsResource
from .mcp_servers import AsyncMcpServersResource, McpServersResource
from .memory import AsyncMemoryResource, MemoryResource
from .messages import AsyncMessagesResource, MessagesResource
from .models import AsyncModelsResource, ModelsResource
from .plans import AsyncPlansResource, PlansResource
from .provider_keys import AsyncProviderKeysResource, ProviderKeysResource
from .quiet import AsyncQuietResource, QuietResource
from .runs import AsyncRunsResource, RunsResource
from .schedules import AsyncSchedulesResource, SchedulesResource
from .secrets import AsyncSecretsResource, SecretsResource
from .tenant import AsyncTenantResource, TenantResource
from .tenant_budgets import AsyncTenantBudgetsResource, TenantBudgetsResource
from .tenant_keys import AsyncTenantKeysResource, TenantKeysResource
from .tenant_prices import AsyncTenantPricesResource, TenantPricesResource
from .tenant_usage import AsyncTenantUsageResource, TenantUsageResource
from .tenants import AsyncTenantsResource, TenantsResource
from .thread_runs import AsyncThreadRunsResource, ThreadRunsResource
from .threads import AsyncThreadsResource, ThreadsResource
from .usage import AsyncUsageResource, UsageResource
from .usage_calls import AsyncUsageCallsResource, UsageCallsResource
from .user_tokens import AsyncUserTokensResource, UserTokensResource
from .users import AsyncUsersResource, UsersResource
from .webhook_deliveries import AsyncWebhookDeliveriesResource, WebhookDeliveriesResource
from .webhook_endpoints import AsyncWebhookEndpointsResource, WebhookEndpointsResource


class Resources(SyncResource):
    """Every resource, by its name."""

    @property
    def agent_versions(self) -> AgentVersionsResource:
        """See `AgentVersionsResource`."""
        return AgentVersionsResource(self._api)

    @property
    def agents(self) -> AgentsResource:
        """See `AgentsResource`."""
        return AgentsResource(self._api)

    @property
    def approvals(self) -> ApprovalsResource:
        """See `ApprovalsResource`."""
        return ApprovalsResource(self._api)

    @property
    def artifacts(self) -> ArtifactsResource:
        """See `ArtifactsResource`."""
        return ArtifactsResource(self._api)

    @property
    def budgets(self) -> BudgetsResource:
        """See `BudgetsResource`."""
        return BudgetsResource(self._api)

    @property
    def doctor(self) -> DoctorResource:
        """See `DoctorResource`."""
        return DoctorResource(self._api)

    @property
    def issuers(self) -> IssuersResource:
        """See `IssuersResource`."""
        return IssuersResource(self._api)

    @property
    def limiter(self) -> LimiterResource:
        """See `LimiterResource`."""
        return LimiterResource(self._api)

    @property
    def mcp_server_tools(self) -> McpServerToolsResource:
        """See `McpServerToolsResource`."""
        return McpServerToolsResource(self._api)

    @property
    def mcp_servers(self) -> McpServersResource:
        """See `McpServersResource`."""
        return McpServersResource(self._api)

    @property
    def memory(self) -> MemoryResource:
        """See `MemoryResource`."""
        return MemoryResource(self._api)

    @property
    def messages(self) -> MessagesResource:
        """See `MessagesResource`."""
        return MessagesResource(self._api)

    @property
    def models(self) -> ModelsResource:
        """See `ModelsResource`."""
        return ModelsResource(self._api)

    @property
    def plans(self) -> PlansResource:
        """See `PlansResource`."""
        return PlansResource(self._api)

    @property
    def provider_keys(self) -> ProviderKeysResource:
        """See `ProviderKeysResource`."""
        return ProviderKeysResource(self._api)

    @property
    def quiet(self) -> QuietResource:
        """See `QuietResource`."""
        return QuietResource(self._api)

    @property
    def runs(self) -> RunsResource:
        """See `RunsResource`."""
        return RunsResource(self._api)

    @property
    def schedules(self) -> SchedulesResource:
        """See `SchedulesResource`."""
        return SchedulesResource(self._api)

    @property
    def secrets(self) -> SecretsResource:
        """See `SecretsResource`."""
        return SecretsResource(self._api)

    @property
    def tenant(self) -> TenantResource:
        """See `TenantResource`."""
        return TenantResource(self._api)

    @property
    def tenant_budgets(self) -> TenantBudgetsResource:
        """See `TenantBudgetsResource`."""
        return TenantBudgetsResource(self._api)

    @property
    def tenant_keys(self) -> TenantKeysResource:
        """See `TenantKeysResource`."""
        return TenantKeysResource(self._api)

    @property
    def tenant_prices(self) -> TenantPricesResource:
        """See `TenantPricesResource`."""
        return TenantPricesResource(self._api)

    @property
    def tenant_usage(self) -> TenantUsageResource:
        """See `TenantUsageResource`."""
        return TenantUsageResource(self._api)

    @property
    def tenants(self) -> TenantsResource:
        """See `TenantsResource`."""
        return TenantsResource(self._api)

    @property
    def thread_runs(self) -> ThreadRunsResource:
        """See `ThreadRunsResource`."""
        return ThreadRunsResource(self._api)

    @property
    def threads(self) -> ThreadsResource:
        """See `ThreadsResource`."""
        return ThreadsResource(self._api)

    @property
    def usage(self) -> UsageResource:
        """See `UsageResource`."""
        return UsageResource(self._api)

    @property
    def usage_calls(self) -> UsageCallsResource:
        """See `UsageCallsResource`."""
        return UsageCallsResource(self._api)

    @property
    def user_tokens(self) -> UserTokensResource:
        """See `UserTokensResource`."""
        return UserTokensResource(self._api)

    @property
    def users(self) -> UsersResource:
        """See `UsersResource`."""
        return UsersResource(self._api)

    @property
    def webhook_deliveries(self) -> WebhookDeliveriesResource:
        """See `WebhookDeliveriesResource`."""
        return WebhookDeliveriesResource(self._api)

    @property
    def webhook_endpoints(self) -> WebhookEndpointsResource:
        """See `WebhookEndpointsResource`."""
        return WebhookEndpointsResource(self._api)


class AsyncResources(AsyncResource):
    """Every resource, by its name."""

    @property
    def agent_versions(self) -> AsyncAgentVersionsResource:
        """See `AsyncAgentVersionsResource`."""
        return AsyncAgentVersionsResource(self._api)

    @property
    def agents(self) -> AsyncAgentsResource:
        """See `AsyncAgentsResource`."""
        return AsyncAgentsResource(self._api)

    @property
    def approvals(self) -> AsyncApprovalsResource:
        """See `AsyncApprovalsResource`."""
        return AsyncApprovalsResource(self._api)

    @property
    def artifacts(self) -> AsyncArtifactsResource:
        """See `AsyncArtifactsResource`."""
        return AsyncArtifactsResource(self._api)

    @property
    def budgets(self) -> AsyncBudgetsResource:
        """See `AsyncBudgetsResource`."""
        return AsyncBudgetsResource(self._api)

    @property
    def doctor(self) -> AsyncDoctorResource:
        """See `AsyncDoctorResource`."""
        return AsyncDoctorResource(self._api)

    @property
    def issuers(self) -> AsyncIssuersResource:
        """See `AsyncIssuersResource`."""
        return AsyncIssuersResource(self._api)

    @property
    def limiter(self) -> AsyncLimiterResource:
        """See `AsyncLimiterResource`."""
        return AsyncLimiterResource(self._api)

    @property
    def mcp_server_tools(self) -> AsyncMcpServerToolsResource:
        """See `AsyncMcpServerToolsResource`."""
        return AsyncMcpServerToolsResource(self._api)

    @property
    def mcp_servers(self) -> AsyncMcpServersResource:
        """See `AsyncMcpServersResource`."""
        return AsyncMcpServersResource(self._api)

    @property
    def memory(self) -> AsyncMemoryResource:
        """See `AsyncMemoryResource`."""
        return AsyncMemoryResource(self._api)

    @property
    def messages(self) -> AsyncMessagesResource:
        """See `AsyncMessagesResource`."""
        return AsyncMessagesResource(self._api)

    @property
    def models(self) -> AsyncModelsResource:
        """See `AsyncModelsResource`."""
        return AsyncModelsResource(self._api)

    @property
    def plans(self) -> AsyncPlansResource:
        """See `AsyncPlansResource`."""
        return AsyncPlansResource(self._api)

    @property
    def provider_keys(self) -> AsyncProviderKeysResource:
        """See `AsyncProviderKeysResource`."""
        return AsyncProviderKeysResource(self._api)

    @property
    def quiet(self) -> AsyncQuietResource:
        """See `AsyncQuietResource`."""
        return AsyncQuietResource(self._api)

    @property
    def runs(self) -> AsyncRunsResource:
        """See `AsyncRunsResource`."""
        return AsyncRunsResource(self._api)

    @property
    def schedules(self) -> AsyncSchedulesResource:
        """See `AsyncSchedulesResource`."""
        return AsyncSchedulesResource(self._api)

    @property
    def secrets(self) -> AsyncSecretsResource:
        """See `AsyncSecretsResource`."""
        return AsyncSecretsResource(self._api)

    @property
    def tenant(self) -> AsyncTenantResource:
        """See `AsyncTenantResource`."""
        return AsyncTenantResource(self._api)

    @property
    def tenant_budgets(self) -> AsyncTenantBudgetsResource:
        """See `AsyncTenantBudgetsResource`."""
        return AsyncTenantBudgetsResource(self._api)

    @property
    def tenant_keys(self) -> AsyncTenantKeysResource:
        """See `AsyncTenantKeysResource`."""
        return AsyncTenantKeysResource(self._api)

    @property
    def tenant_prices(self) -> AsyncTenantPricesResource:
        """See `AsyncTenantPricesResource`."""
        return AsyncTenantPricesResource(self._api)

    @property
    def tenant_usage(self) -> AsyncTenantUsageResource:
        """See `AsyncTenantUsageResource`."""
        return AsyncTenantUsageResource(self._api)

    @property
    def tenants(self) -> AsyncTenantsResource:
        """See `AsyncTenantsResource`."""
        return AsyncTenantsResource(self._api)

    @property
    def thread_runs(self) -> AsyncThreadRunsResource:
        """See `AsyncThreadRunsResource`."""
        return AsyncThreadRunsResource(self._api)

    @property
    def threads(self) -> AsyncThreadsResource:
        """See `AsyncThreadsResource`."""
        return AsyncThreadsResource(self._api)

    @property
    def usage(self) -> AsyncUsageResource:
        """See `AsyncUsageResource`."""
        return AsyncUsageResource(self._api)

    @property
    def usage_calls(self) -> AsyncUsageCallsResource:
        """See `AsyncUsageCallsResource`."""
        return AsyncUsageCallsResource(self._api)

    @property
    def user_tokens(self) -> AsyncUserTokensResource:
        """See `AsyncUserTokensResource`."""
        return AsyncUserTokensResource(self._api)

    @property
    def users(self) -> AsyncUsersResource:
        """See `AsyncUsersResource`."""
        return AsyncUsersResource(self._api)

    @property
    def webhook_deliveries(self) -> AsyncWebhookDeliveriesResource:
        """See `AsyncWebhookDeliveriesResource`."""
        return AsyncWebhookDeliveriesResource(self._api)

    @property
    def webhook_endpoints(self) -> AsyncWebhookEndpointsResource:
        """See `AsyncWebhookEndpointsResource`."""
        return AsyncWebhookEndpointsResource(self._api)


__all__ = [
    "AgentVersionsResource",
    "AgentsResource",
    "ApprovalsResource",
    "ArtifactsResource",
    "AsyncAgentVersionsResource",
    "AsyncAgentsResource",
    "AsyncApprovalsResource",
    "AsyncArtifactsResource",
    "AsyncBudgetsResource",
    "AsyncDoctorResource",
    "AsyncIssuersResource",
    "AsyncLimiterResource",
    "AsyncMcpServerToolsResource",
    "AsyncMcpServersResource",
    "AsyncMemoryResource",
    "AsyncMessagesResource",
    "AsyncModelsResource",
    "AsyncPlansResource",
    "AsyncProviderKeysResource",
    "AsyncQuietResource",
    "AsyncResources",
    "AsyncRunsResource",
    "AsyncSchedulesResource",
    "AsyncSecretsResource",
    "AsyncTenantBudgetsResource",
    "AsyncTenantKeysResource",
    "AsyncTenantPricesResource",
    "AsyncTenantResource",
    "AsyncTenantUsageResource",
    "AsyncTenantsResource",
    "AsyncThreadRunsResource",
    "AsyncThreadsResource",
    "AsyncUsageCallsResource",
    "AsyncUsageResource",
    "AsyncUserTokensResource",
    "AsyncUsersResource",
    "AsyncWebhookDeliveriesResource",
    "AsyncWebhookEndpointsResource",
    "BudgetsResource",
    "DoctorResource",
    "IssuersResource",
    "LimiterResource",
    "McpServerToolsResource",
    "McpServersResource",
    "MemoryResource",
    "MessagesResource",
    "ModelsResource",
    "PlansResource",
    "ProviderKeysResource",
    "QuietResource",
    "Resources",
    "RunsResource",
    "SchedulesResource",
    "SecretsResource",
    "TenantBudgetsResource",
    "TenantKeysResource",
    "TenantPricesResource",
    "TenantResource",
    "TenantUsageResource",
    "TenantsResource",
    "ThreadRunsResource",
    "ThreadsResource",
    "UsageCallsResource",
    "UsageResource",
    "UserTokensResource",
    "UsersResource",
    "WebhookDeliveriesResource",
    "WebhookEndpointsResource",
]
