//! Every route on one screen.

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Json, Router};
use headwater_protocol::Problem;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::auth::authenticate;
use crate::document;
use crate::http::fallback;
use crate::routes::openai::{self, completions, responses};
use crate::routes::{
    ag_ui, agents, approvals, artifacts, budgets, calls, chat, console, dev, docs, durable, health, issuers, mcp,
    memory, metrics, operations, plans, provider_keys, runs, schedules, secrets, streams, tenants, threads, tokens,
    usage, users, webhooks,
};
use crate::wiring::AppState;

#[derive(OpenApi)]
#[openapi(
    info(title = "Headwater", description = "Multi-tenant agent runtime. Errors are application/problem+json (RFC 9457)."),
    components(schemas(
        Problem,
        headwater_protocol::api::AgentSummary,
        headwater_protocol::event::Event,
        headwater_protocol::event::EventBody
    )),
    modifiers(&Security)
)]
struct ApiDoc;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An operator's key (hw_op_…), a tenant's key (hw_sk_…) or a user's token."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        openapi.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    }
}

fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(ApiDoc::openapi())
        // The operator
        .routes(routes!(tenants::tenants_create, tenants::tenants_list))
        .routes(routes!(tenants::tenants_get, tenants::tenants_update, tenants::tenants_delete))
        .routes(routes!(tenants::tenant_keys_create, tenants::tenant_keys_list))
        .routes(routes!(tenants::tenant_keys_revoke))
        .routes(routes!(plans::plans_list))
        .routes(routes!(plans::plans_get, plans::plans_put))
        .routes(routes!(plans::tenant_prices_get, plans::tenant_prices_put))
        .routes(routes!(operations::limiter_get))
        .routes(routes!(operations::quiet_get))
        .routes(routes!(operations::doctor_get))
        // A tenant, its users and their tokens
        .routes(routes!(tenants::tenant_get, tenants::tenant_update))
        .routes(routes!(users::users_create, users::users_list))
        .routes(routes!(users::users_get, users::users_update, users::users_delete))
        .routes(routes!(tokens::me))
        .routes(routes!(tokens::user_tokens_create))
        .routes(routes!(issuers::issuers_create, issuers::issuers_list))
        .routes(routes!(issuers::issuers_get, issuers::issuers_update, issuers::issuers_delete))
        // Agents
        .routes(routes!(agents::agents_create, agents::agents_list))
        .routes(routes!(agents::agents_get, agents::agents_put, agents::agents_update, agents::agents_archive))
        .routes(routes!(agents::agent_versions_list))
        .routes(routes!(agents::agent_versions_get))
        .routes(routes!(agents::models_list))
        // Threads and messages
        .routes(routes!(threads::threads_create, threads::threads_list))
        .routes(routes!(threads::threads_get, threads::threads_update, threads::threads_delete))
        .routes(routes!(threads::messages_create, threads::messages_list))
        .routes(routes!(threads::messages_get))
        // Runs
        .routes(routes!(runs::runs_create, runs::runs_list).layer(from_fn(streams::negotiate)))
        .routes(routes!(runs::thread_runs_create, runs::thread_runs_list).layer(from_fn(streams::negotiate)))
        .routes(routes!(runs::runs_get))
        .routes(routes!(runs::runs_events))
        .routes(routes!(runs::runs_explain))
        .routes(routes!(runs::runs_cancel))
        .routes(routes!(runs::runs_tickets_create))
        .routes(routes!(calls::runs_tool_outputs))
        .routes(routes!(calls::runs_call_result))
        // The same log for clients that others wrote
        .routes(routes!(chat::chat_create))
        .routes(routes!(chat::chat_get))
        .routes(routes!(chat::chat_stream))
        .routes(routes!(chat::chat_stop))
        .routes(routes!(durable::streams_runs_get, durable::streams_runs_head))
        .routes(routes!(ag_ui::ag_ui_run))
        .routes(routes!(responses::responses_create))
        .routes(routes!(responses::responses_get))
        .routes(routes!(responses::responses_cancel))
        .routes(routes!(completions::completions_create))
        // Runs that begin by themselves
        .routes(routes!(schedules::schedules_create, schedules::schedules_list))
        .routes(routes!(schedules::schedules_get, schedules::schedules_update, schedules::schedules_delete))
        .routes(routes!(schedules::schedules_trigger))
        // What a tenant's own server is told
        .routes(routes!(webhooks::webhook_endpoints_create, webhooks::webhook_endpoints_list))
        .routes(routes!(
            webhooks::webhook_endpoints_get,
            webhooks::webhook_endpoints_update,
            webhooks::webhook_endpoints_delete
        ))
        .routes(routes!(webhooks::webhook_endpoints_test))
        .routes(routes!(webhooks::webhook_endpoints_rotate_secret))
        .routes(routes!(webhooks::webhook_deliveries_list))
        .routes(routes!(webhooks::webhook_deliveries_replay))
        // Approvals
        .routes(routes!(approvals::approvals_list))
        .routes(routes!(approvals::approvals_get))
        .routes(routes!(approvals::approvals_decide))
        .routes(routes!(artifacts::artifacts_create))
        .routes(routes!(artifacts::artifacts_get))
        .routes(routes!(artifacts::artifacts_content))
        // What agents remember, and what their tools need to know
        .routes(routes!(memory::memory_list))
        .routes(routes!(memory::memory_get, memory::memory_put, memory::memory_delete))
        .routes(routes!(provider_keys::provider_keys_put, provider_keys::provider_keys_delete))
        .routes(routes!(provider_keys::provider_keys_list))
        .routes(routes!(secrets::secrets_list))
        .routes(routes!(secrets::secrets_put, secrets::secrets_delete))
        .routes(routes!(mcp::mcp_servers_create, mcp::mcp_servers_list))
        .routes(routes!(mcp::mcp_servers_get, mcp::mcp_servers_update, mcp::mcp_servers_delete))
        .routes(routes!(mcp::mcp_server_tools_list))
        .routes(routes!(mcp::mcp_servers_refresh))
        // Money
        .routes(routes!(budgets::budgets_create, budgets::budgets_list))
        .routes(routes!(budgets::budgets_get, budgets::budgets_update, budgets::budgets_delete))
        .routes(routes!(budgets::tenant_budgets_create, budgets::tenant_budgets_list))
        .routes(routes!(budgets::tenant_budgets_get, budgets::tenant_budgets_update, budgets::tenant_budgets_delete))
        .routes(routes!(budgets::runs_resume))
        .routes(routes!(usage::usage_get))
        .routes(routes!(usage::usage_calls_list))
        .routes(routes!(usage::tenant_usage_get))
}

/// The whole application, before the edge's layers. `page`: with the development page; `console`: with the console.
pub fn router(state: AppState, page: bool, console: bool) -> Router {
    let (authenticated, document) = api().split_for_parts();
    let document = given_out(document);
    // Credentials are checked on every route of the API; the few that are open to everybody stand below.
    let authenticated =
        authenticated.route_layer(from_fn_with_state(state.clone(), authenticate)).layer(from_fn(openai::errors));
    let reference = docs::Reference::default();
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/wake", post(health::wake))
        .route("/docs", get(move || std::future::ready(reference.page())))
        .route("/docs/errors", get(docs::errors))
        .route("/openapi.json", get(move || std::future::ready(Json(document))));
    let mut router = authenticated.merge(open);
    if console {
        router = router.merge(console::routes());
    }
    if page {
        router = router.merge(dev::routes());
    }
    router
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        // Bodies are bounded where they are read, with a problem that says so.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

/// Adds to each operation the headers that many of them take, so that they are told once here.
fn with_headers(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
    use utoipa::openapi::{ObjectBuilder, Required, schema::Type};
    let header = |name: &str, what: &str| {
        utoipa::openapi::RefOr::T(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(what))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build(),
        )
    };
    for (path, item) in &mut document.paths.paths {
        let operators = path.starts_with("/v1/tenants");
        let posts = item.post.is_some();
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for (place, operation) in operations.into_iter().enumerate() {
            let Some(operation) = operation else { continue };
            let parameters = operation.parameters.get_or_insert_default();
            if !operators {
                let what = "With a tenant's key: the user to act for, by external_id or usr_… id.";
                parameters.push(header("Headwater-User", what));
            }
            if posts && place == 2 {
                let what = "1 to 255 visible ASCII characters; a repeated request with the same key finds what the first one made.";
                parameters.push(header("Idempotency-Key", what));
            }
            if path.ends_with("/events") {
                parameters.push(header("Last-Event-ID", "The last event that was seen: strictly after it."));
            }
        }
    }
    document
}

fn given_out(document: utoipa::openapi::OpenApi) -> serde_json::Value {
    document::finished(serde_json::to_value(with_headers(document)).expect("the document serialises"))
}

/// The OpenAPI document, as `/openapi.json` and `headwater openapi` give it.
pub fn openapi() -> serde_json::Value {
    let (_, document) = api().split_for_parts();
    given_out(document)
}
