//! The table: every route, and what each actor gets there.

use serde_json::{Value, json};

/// Who asks. The objects in paths are those of tenant A and its user alice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The operator.
    Operator,
    /// A's key.
    Key,
    /// A's key for alice.
    KeyAlice,
    /// A's key for bob, another user of A.
    KeyBob,
    /// A's key for a user of B, by id.
    KeyForeignUser,
    /// Alice's token.
    TokenAlice,
    /// Bob's token.
    TokenBob,
    /// B's key.
    OtherKey,
    /// B's key for its own user who is called alice too.
    OtherKeyAlice,
    /// The token of that user.
    OtherToken,
    /// A ticket for another run of alice.
    Ticket,
    /// No credential.
    Nobody,
    /// Something that is no credential.
    Garbage,
}

pub(super) const ACTORS: [Who; 13] = [
    Who::Operator,
    Who::Key,
    Who::KeyAlice,
    Who::KeyBob,
    Who::KeyForeignUser,
    Who::TokenAlice,
    Who::TokenBob,
    Who::OtherKey,
    Who::OtherKeyAlice,
    Who::OtherToken,
    Who::Ticket,
    Who::Nobody,
    Who::Garbage,
];

/// One route: method, path, body, and a status for each of [`ACTORS`].
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Option<Value>,
    pub(super) statuses: [u16; 13],
}

/// Only the operator.
const fn operator(done: u16) -> [u16; 13] {
    [done, 403, 403, 403, 404, 403, 403, 403, 403, 403, 401, 401, 401]
}

/// Only a tenant's key, on what is the tenant's own: B's key works on B's.
const fn key_on_own(done: u16) -> [u16; 13] {
    [403, done, done, done, 404, 403, 403, done, done, 403, 401, 401, 401]
}

/// Only a tenant's key, on an object of A: the tenant manages it, whoever the key acts for.
const fn key_on_object(done: u16) -> [u16; 13] {
    [403, done, done, done, 404, 403, 403, 404, 404, 403, 401, 401, 401]
}

/// Keys and tokens, each on its own.
const fn all_on_own(done: u16) -> [u16; 13] {
    [403, done, done, done, 404, done, done, done, done, done, 401, 401, 401]
}

/// Keys and tokens, on an object of alice's.
const fn all_on_alices(done: u16) -> [u16; 13] {
    [403, done, done, 404, 404, done, 404, 404, 404, 404, 401, 401, 401]
}

/// The same, where a ticket would do if it were for this run.
const fn all_on_alices_run(done: u16) -> [u16; 13] {
    [403, done, done, 404, 404, done, 404, 404, 404, 404, 404, 401, 401]
}

/// Users, and keys for one of them, each on its own.
const fn user_on_own(done: u16) -> [u16; 13] {
    [403, 400, done, done, 404, done, done, 400, done, done, 401, 401, 401]
}

/// The same, on what alice alone has.
const fn user_on_alices(done: u16) -> [u16; 13] {
    [403, 400, done, 404, 404, done, 404, 400, 404, 404, 401, 401, 401]
}

fn route(method: &'static str, path: &'static str, statuses: [u16; 13]) -> Route {
    Route { method, path, body: None, statuses }
}

fn with(method: &'static str, path: &'static str, body: Value, statuses: [u16; 13]) -> Route {
    Route { method, path, body: Some(body), statuses }
}

/// Every route of the API. `{unique}` in a body is different each time, `{agent}` an id of A's.
pub(super) fn routes() -> Vec<Route> {
    let agent = json!({"model": "{model}", "instructions": "{a-private}"});
    let mut named = agent.clone();
    named["name"] = "{unique}".into();
    let run = json!({"agent": "{agent}", "input": "{alice-private}"});
    // Without a user there is nobody to write for; a foreign agent is none.
    let write_for_a_user = [403, 400, 201, 201, 404, 201, 201, 400, 201, 201, 401, 401, 401];
    let run_for_a_user = [403, 400, 201, 201, 404, 201, 201, 400, 404, 404, 401, 401, 401];
    let mut run_on_thread = all_on_alices(201);
    run_on_thread[1] = 400;
    // What a token may see of an agent, it may see of any agent of its tenant.
    let agent_of_tenant = [403, 200, 200, 200, 404, 200, 200, 404, 404, 404, 401, 401, 401];
    let schedule =
        json!({"name": "{alice-private}", "agent": "{agent}", "input": "{alice-private}", "cron": "0 7 1 1 *"});
    let speaks = json!({"threadId": "{unique}", "runId": "{unique}",
        "messages": [{"id": "m", "role": "user", "content": "{alice-private}"}]});
    let asked = json!({"model": "{agent}", "input": "{alice-private}"});
    let completes = json!({"model": "{agent}", "messages": [{"role": "user", "content": "{alice-private}"}]});
    let said = json!({"id": "{unique}", "agent": "{agent}",
        "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "{alice-private}"}]}]});
    vec![
        with("POST", "/v1/tenants", json!({"name": "{unique}"}), operator(201)),
        route("GET", "/v1/tenants", operator(200)),
        route("GET", "/v1/limiter", operator(200)),
        route("GET", "/v1/quiet", operator(200)),
        route("GET", "/v1/doctor", operator(200)),
        route("GET", "/v1/tenants/{tenant}", operator(200)),
        with("PATCH", "/v1/tenants/{tenant}", json!({"metadata": {"k": "v"}}), operator(200)),
        route("DELETE", "/v1/tenants/{tenant}", operator(204)),
        with("POST", "/v1/tenants/{tenant}/keys", json!({"name": "k"}), operator(201)),
        route("GET", "/v1/tenants/{tenant}/keys", operator(200)),
        route("DELETE", "/v1/tenants/{tenant}/keys/{key}", operator(204)),
        route("GET", "/v1/plans", operator(200)),
        route("GET", "/v1/plans/{plan}", operator(200)),
        with("PUT", "/v1/plans/{plan}", json!({"weight": 2}), operator(200)),
        route("GET", "/v1/tenants/{tenant}/prices", operator(200)),
        with("PUT", "/v1/tenants/{tenant}/prices", json!({"markup_ppm": 1}), operator(200)),
        route("GET", "/v1/tenant", key_on_own(200)),
        with("PATCH", "/v1/tenant", json!({"metadata": {"k": "v"}}), key_on_own(200)),
        with("POST", "/v1/users", json!({"external_id": "{unique}"}), key_on_own(201)),
        route("GET", "/v1/users", key_on_own(200)),
        route("GET", "/v1/users/{user}", key_on_object(200)),
        with("PATCH", "/v1/users/{user}", json!({"name": "{alice-private}"}), key_on_object(200)),
        route("DELETE", "/v1/users/{user}", key_on_object(204)),
        route("GET", "/v1/me", all_on_own(200)),
        // The user in the body is A's alice, by id.
        with("POST", "/v1/user_tokens", json!({"user": "{user}"}), key_on_object(201)),
        with("POST", "/v1/agents", named, key_on_own(201)),
        route("GET", "/v1/agents", all_on_own(200)),
        route("GET", "/v1/agents/{agent}", agent_of_tenant),
        with("PUT", "/v1/agents/{agent}", agent, key_on_own(0)),
        with("PATCH", "/v1/agents/{agent}", json!({"description": "{unique}"}), key_on_object(200)),
        route("DELETE", "/v1/agents/{agent}", key_on_object(204)),
        route("GET", "/v1/agents/{agent}/versions", key_on_object(200)),
        route("GET", "/v1/agents/{agent}/versions/{version}", key_on_object(200)),
        route("GET", "/v1/models", all_on_own(200)),
        with("POST", "/v1/threads", json!({"title": "{alice-private}"}), write_for_a_user),
        route("GET", "/v1/threads", all_on_own(200)),
        route("GET", "/v1/threads/{thread}", all_on_alices(200)),
        with("PATCH", "/v1/threads/{thread}", json!({"title": "{alice-private}"}), all_on_alices(200)),
        route("DELETE", "/v1/threads/{thread}", all_on_alices(204)),
        with(
            "POST",
            "/v1/threads/{thread}/messages",
            json!({"role": "user", "content": "{alice-private}"}),
            all_on_alices(201),
        ),
        route("GET", "/v1/threads/{thread}/messages", all_on_alices(200)),
        route("GET", "/v1/threads/{thread}/messages/{message}", all_on_alices(200)),
        with("POST", "/v1/runs", run.clone(), run_for_a_user),
        route("GET", "/v1/runs", all_on_own(200)),
        with("POST", "/v1/threads/{thread}/runs", run, run_on_thread),
        route("GET", "/v1/threads/{thread}/runs", all_on_alices(200)),
        route("GET", "/v1/runs/{run}", all_on_alices_run(200)),
        route("GET", "/v1/runs/{run}/events", all_on_alices_run(200)),
        route("GET", "/v1/runs/{run}/explain", all_on_alices(200)),
        with("POST", "/v1/runs/{run}/cancel", json!({}), all_on_alices(200)),
        with("POST", "/v1/runs/{run}/tickets", json!({}), all_on_alices(201)),
        // Refused for what is in them, and only by a run that is there.
        with("POST", "/v1/runs/{run}/tool_outputs", json!({"tool_outputs": []}), all_on_alices(422)),
        with("POST", "/v1/runs/{run}/calls/{call}/result", json!({"output": 1, "error": "x"}), all_on_alices(422)),
        route("GET", "/v1/approvals", all_on_own(200)),
        route("GET", "/v1/approvals/{approval}", all_on_alices(200)),
        with("POST", "/v1/runs/{run}/approvals/{approval}", json!({"decision": "denied"}), all_on_alices(200)),
        // Of any kind, JSON too.
        with("POST", "/v1/artifacts", json!({"is": "{alice-private}"}), write_for_a_user),
        route("GET", "/v1/artifacts/{artifact}", all_on_alices(200)),
        route("GET", "/v1/artifacts/{artifact}/content", all_on_alices(200)),
        route("GET", "/v1/memory", user_on_own(200)),
        with("PUT", "/v1/memory/{key}", json!({"value": "{alice-private}"}), user_on_own(200)),
        // The key is one that alice alone has.
        route("GET", "/v1/memory/{key}", user_on_alices(200)),
        route("DELETE", "/v1/memory/{key}", user_on_alices(204)),
        route("GET", "/v1/provider_keys", key_on_own(200)),
        with("PUT", "/v1/provider_keys/{provider}", json!({"key": "{a-private}"}), key_on_own(200)),
        route("DELETE", "/v1/provider_keys/{provider}", key_on_object(204)),
        route("GET", "/v1/secrets", key_on_own(200)),
        with("PUT", "/v1/secrets/{name}", json!({"value": "{a-private}"}), key_on_own(200)),
        route("DELETE", "/v1/secrets/{name}", key_on_object(204)),
        with("POST", "/v1/mcp_servers", json!({"name": "{unique}", "url": "http://127.0.0.1:1/"}), key_on_own(201)),
        route("GET", "/v1/mcp_servers", key_on_own(200)),
        route("GET", "/v1/mcp_servers/{server}", key_on_object(200)),
        with("PATCH", "/v1/mcp_servers/{server}", json!({"auth": null}), key_on_object(200)),
        route("GET", "/v1/mcp_servers/{server}/tools", key_on_object(200)),
        with("POST", "/v1/mcp_servers/{server}/refresh", json!({}), key_on_object(200)),
        route("DELETE", "/v1/mcp_servers/{server}", key_on_object(204)),
        with(
            "POST",
            "/v1/budgets",
            json!({"scope": {"type": "tenant"}, "mode": "soft", "limit": {"usd": "5"}}),
            key_on_own(201),
        ),
        route("GET", "/v1/budgets", all_on_own(200)),
        route("GET", "/v1/budgets/{budget}", all_on_alices(200)),
        with("PATCH", "/v1/budgets/{budget}", json!({"warn_at_percent": 70}), key_on_object(200)),
        route("DELETE", "/v1/budgets/{budget}", key_on_object(204)),
        with(
            "POST",
            "/v1/tenants/{tenant}/budgets",
            json!({"scope": {"type": "tenant"}, "mode": "soft", "limit": {"usd": "5"}}),
            operator(201),
        ),
        route("GET", "/v1/tenants/{tenant}/budgets", operator(200)),
        route("GET", "/v1/tenants/{tenant}/budgets/{budget}", operator(200)),
        with("PATCH", "/v1/tenants/{tenant}/budgets/{budget}", json!({"warn_at_percent": 70}), operator(200)),
        route("DELETE", "/v1/tenants/{tenant}/budgets/{budget}", operator(204)),
        // It does not wait for money.
        with("POST", "/v1/runs/{run}/resume", json!({}), all_on_alices(409)),
        with("POST", "/v1/schedules", schedule, run_for_a_user),
        route("GET", "/v1/schedules", all_on_own(200)),
        route("GET", "/v1/schedules/{schedule}", all_on_alices(200)),
        with("PATCH", "/v1/schedules/{schedule}", json!({"input": "{alice-private}"}), all_on_alices(200)),
        with("POST", "/v1/schedules/{schedule}/trigger", json!({}), all_on_alices(201)),
        route("DELETE", "/v1/schedules/{schedule}", all_on_alices(204)),
        with("POST", "/api/chat", said, run_for_a_user.map(|status| if status == 201 { 200 } else { status })),
        route("GET", "/v1/streams/runs/{run}", all_on_alices(200)),
        route("HEAD", "/v1/streams/runs/{run}", all_on_alices(200)),
        with("POST", "/ag-ui/{agent}", speaks, [403, 400, 200, 200, 404, 200, 200, 404, 404, 404, 401, 401, 401]),
        with("POST", "/v1/responses", asked, run_for_a_user.map(|status| if status == 201 { 200 } else { status })),
        route("GET", "/v1/responses/{response}", all_on_alices(200)),
        with("POST", "/v1/responses/{response}/cancel", json!({}), all_on_alices(200)),
        with(
            "POST",
            "/v1/chat/completions",
            completes,
            run_for_a_user.map(|status| if status == 201 { 200 } else { status }),
        ),
        // Whether somebody else's chat is there is not told.
        route("GET", "/api/chat/{chat}", user_on_own(200)),
        route("GET", "/api/chat/{chat}/stream", [403, 400, 200, 204, 404, 200, 204, 400, 204, 204, 401, 401, 401]),
        route("POST", "/api/chat/{chat}/stop", user_on_alices(204)),
        with(
            "POST",
            "/v1/issuers",
            json!({"issuer": "https://{unique}.test/", "audience": "{a-private}"}),
            key_on_own(201),
        ),
        route("GET", "/v1/issuers", key_on_own(200)),
        route("GET", "/v1/issuers/{issuer}", key_on_object(200)),
        with("PATCH", "/v1/issuers/{issuer}", json!({"user_claim": "email"}), key_on_object(200)),
        route("DELETE", "/v1/issuers/{issuer}", key_on_object(204)),
        with(
            "POST",
            "/v1/webhook_endpoints",
            json!({"url": "http://127.0.0.1:1/", "events": ["run.failed"], "description": "{a-private}"}),
            key_on_own(201),
        ),
        route("GET", "/v1/webhook_endpoints", key_on_own(200)),
        route("GET", "/v1/webhook_endpoints/{endpoint}", key_on_object(200)),
        with("PATCH", "/v1/webhook_endpoints/{endpoint}", json!({"description": "{a-private}"}), key_on_object(200)),
        with("POST", "/v1/webhook_endpoints/{endpoint}/test", json!({}), key_on_object(202)),
        with("POST", "/v1/webhook_endpoints/{endpoint}/rotate_secret", json!({}), key_on_object(200)),
        route("GET", "/v1/webhook_endpoints/{endpoint}/deliveries", key_on_object(200)),
        with("POST", "/v1/webhook_endpoints/{endpoint}/deliveries/{delivery}/replay", json!({}), key_on_object(202)),
        route("DELETE", "/v1/webhook_endpoints/{endpoint}", key_on_object(204)),
        route("GET", "/v1/usage", all_on_own(200)),
        route("GET", "/v1/usage/calls", key_on_own(200)),
        route("GET", "/v1/tenants/{tenant}/usage", operator(200)),
    ]
}
