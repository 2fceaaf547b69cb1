//! A tenant of one test's own, its users and what they make.

use serde_json::{Value, json};

use super::{Api, Lane, Site};

/// A tenant with a key that may do all.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// Its id.
    pub(crate) id: String,
    /// The key's id.
    pub(crate) key_id: String,
    /// The key's secret.
    pub(crate) secret: String,
    /// The tenant itself.
    pub(crate) api: Api,
}

/// A user, acted for in both ways.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// Its id.
    pub(crate) id: String,
    /// By the tenant's key and `Headwater-User`.
    pub(crate) key: Api,
    /// By a token of its own.
    pub(crate) token: Api,
}

impl User {
    /// The same at another server.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { id: self.id.clone(), key: self.key.at(url), token: self.token.at(url) }
    }
}

impl Tenant {
    pub(crate) async fn new(site: &Site) -> Self {
        let operator = site.operator();
        let tenant = operator.post("/v1/tenants", json!({"name": "acme"})).await.ok(201);
        let id = tenant["id"].as_str().expect("an id").to_owned();
        let key = operator.post(&format!("/v1/tenants/{id}/keys"), json!({"name": "backend"})).await.ok(201);
        let secret = key["secret"].as_str().expect("a secret").to_owned();
        let api = site.anybody().bearer(&secret);
        Self { id, key_id: key["id"].as_str().expect("an id").to_owned(), secret, api }
    }

    /// The same at another server.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { api: self.api.at(url), ..self.clone() }
    }

    /// A user, made if there is none.
    pub(crate) async fn user(&self, external_id: &str) -> User {
        let minted = self.api.post("/v1/user_tokens", json!({"user": external_id})).await.ok(201);
        User {
            id: minted["user"].as_str().expect("an id").to_owned(),
            key: self.api.with("headwater-user", external_id),
            token: self.api.bearer(minted["token"].as_str().expect("a token")),
        }
    }

    /// A token with these parameters besides the user.
    pub(crate) async fn token(&self, user: &str, mut params: Value) -> Api {
        params["user"] = user.into();
        let minted = self.api.post("/v1/user_tokens", params).await.ok(201);
        self.api.bearer(minted["token"].as_str().expect("a token"))
    }

    /// The agent `assistant`, talking to this lane.
    pub(crate) async fn agent(&self, lane: &Lane) -> Value {
        self.agent_with(lane, json!({})).await
    }

    /// The same with further settings.
    pub(crate) async fn agent_with(&self, lane: &Lane, more: Value) -> Value {
        let mut config = json!({"model": lane.model(), "instructions": "You help."});
        for (name, value) in more.as_object().expect("settings") {
            config[name] = value.clone();
        }
        let answer = self.api.put("/v1/agents/assistant", config).await;
        assert!(answer.status == 200 || answer.status == 201, "{}", answer.text());
        answer.json()
    }
}

impl Api {
    /// Starts a run of `assistant` on a new thread.
    pub(crate) async fn run(&self, input: &str) -> Value {
        self.post("/v1/runs", json!({"agent": "assistant", "input": input})).await.ok(201)
    }

    /// Starts one on this thread.
    pub(crate) async fn run_on(&self, thread: &str, input: &str) -> Value {
        self.post(&format!("/v1/threads/{thread}/runs"), json!({"agent": "assistant", "input": input})).await.ok(201)
    }

    /// The run's snapshot when it has ended. One that does not is shown as it is then. A process with a short lease loses it where
    /// it gets no CPU, and says 503 until it has another: whoever reads asks again, as the SDK does.
    pub(crate) async fn ended(&self, run: &str) -> Value {
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let answer = self.get(&format!("/v1/runs/{run}?wait_ms=20000")).await;
            if answer.status == 503 && std::time::Instant::now() < patience {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
            let found = answer.ok(200);
            if ["completed", "failed", "cancelled"].contains(&found["status"].as_str().expect("a status")) {
                return found;
            }
            assert!(
                std::time::Instant::now() < patience,
                "waited in vain for the end of a run at {}: {found}",
                self.base
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// An id out of a body.
#[track_caller]
pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}")).to_owned()
}
