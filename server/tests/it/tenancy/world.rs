//! Two tenants whose users have the same names, with marks on what others must not see.

use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::ToolAnswer;
use serde_json::{Value, json};

use super::routes::Who;
use crate::support::sse::{events, read};
use crate::support::tenant::id;
use crate::support::{Api, Lane, Site, Tenant, User, eventually, unique};

/// On everything that is alice's.
pub(super) const ALICES: &str = "private-to-alice";
/// On what only A's keys may see.
pub(super) const AS: &str = "private-to-tenant-a";

/// The objects that paths name.
pub(super) struct World {
    pub(super) site: Site,
    pub(super) a: Tenant,
    pub(super) alice: User,
    pub(super) bob: User,
    pub(super) b: Tenant,
    pub(super) b_alice: User,
    pub(super) model: String,
    pub(super) agent: String,
    pub(super) thread: String,
    pub(super) message: String,
    pub(super) run: String,
    /// A question of another run of alice, and that run.
    pub(super) approval: String,
    pub(super) asking: String,
    /// Where A's own server is told of what happens, and a delivery to it.
    pub(super) endpoint: String,
    pub(super) delivery: String,
    /// What a tool has answered alice.
    pub(super) artifact: String,
    /// A ticket for another run of alice.
    pub(super) ticket: String,
}

/// A run of alice that asks whether a tool may be called, and its question.
async fn ask(tenant: &Tenant, alice: &User) -> (String, String) {
    let call = Reply::text("").tool_call("publish", json!({ "text": ALICES }).to_string());
    let config = json!({"name": "asker", "model": Lane::always(call).model(),
        "tools": [{"type": "client", "name": "publish", "policy": "ask"}]});
    tenant.api.post("/v1/agents", config).await.ok(201);
    let run = id(&alice.key.post("/v1/runs", json!({"agent": "asker", "input": ALICES})).await.ok(201));
    let found = eventually("it asks", || async {
        let found = alice.key.get(&format!("/v1/runs/{run}?wait_ms=10000")).await.ok(200);
        (found["status"] == "suspended").then_some(found)
    });
    let approval = found.await["pending"][0]["approval"].as_str().expect("a question").to_owned();
    (run, approval)
}

/// A run of alice whose tool answers more than is shown.
async fn keep(tenant: &Tenant, alice: &User) -> String {
    let server = ToolServer::start(|_| ToolAnswer::text(ALICES.repeat(200)));
    let lane = Lane::sequence([Reply::text("").tool_call("fetch", "{}"), Reply::text("I see.")]);
    let config = json!({"name": "keeper", "model": lane.model(),
        "tools": [{"type": "http", "name": "fetch", "effect": "read", "max_result_bytes": 1024,
                   "request": {"method": "GET", "url": server.url}}]});
    tenant.api.post("/v1/agents", config).await.ok(201);
    let run = id(&alice.key.post("/v1/runs", json!({"agent": "keeper", "input": ALICES})).await.ok(201));
    alice.key.ended(&run).await;
    let log = events(&read(&alice.key, &run, None).await);
    let kept = log.iter().find(|event| event["type"] == "artifact").expect("it is kept");
    kept["artifact"].as_str().expect("an id").to_owned()
}

impl World {
    pub(super) async fn new() -> Self {
        let site = Site::shared().await;
        let (a, b) = (site.tenant().await, site.tenant().await);
        // What alice asks comes back in her answers.
        let lane = Lane::echo();
        let agent = id(&a.agent_with(&lane, json!({"instructions": AS})).await);
        let (alice, bob, b_alice) = (a.user("alice").await, a.user("bob").await, b.user("alice").await);
        let made = json!({"title": ALICES, "external_id": "same-everywhere", "metadata": {"of": ALICES}});
        let thread = id(&alice.key.post("/v1/threads", made).await.ok(201));
        let run = id(&alice.key.run_on(&thread, ALICES).await);
        let ended = alice.key.ended(&run).await;
        assert_eq!(ended["status"], "completed", "{ended}");
        let message = ended["result"]["message"].as_str().expect("a message").to_owned();
        let other = id(&alice.key.run(ALICES).await);
        let ticket = alice.key.post(&format!("/v1/runs/{other}/tickets"), json!({})).await.ok(201);
        let ticket = ticket["ticket"].as_str().expect("a ticket").to_owned();
        // Used once on its own run, so that it is good.
        site.anybody().get(&format!("/v1/runs/{other}?ticket={ticket}")).await.ok(200);
        let (asking, approval) = ask(&a, &alice).await;
        let artifact = keep(&a, &alice).await;
        let hook = json!({"url": format!("http://127.0.0.1:1/{AS}"), "events": ["run.failed"]});
        let endpoint = id(&a.api.post("/v1/webhook_endpoints", hook).await.ok(201));
        let test = format!("/v1/webhook_endpoints/{endpoint}/test");
        let delivery = id(&a.api.post(&test, json!({})).await.ok(202));
        let model = lane.model();
        Self {
            site,
            a,
            alice,
            bob,
            b,
            b_alice,
            model,
            agent,
            thread,
            message,
            run,
            approval,
            asking,
            endpoint,
            delivery,
            artifact,
            ticket,
        }
    }

    /// A client for this actor. A ticket goes into the query.
    pub(super) fn client(&self, who: Who) -> Api {
        match who {
            Who::Operator => self.site.operator(),
            Who::Key => self.a.api.clone(),
            Who::KeyAlice => self.alice.key.clone(),
            Who::KeyBob => self.bob.key.clone(),
            Who::KeyForeignUser => self.a.api.with("headwater-user", &self.b_alice.id),
            Who::TokenAlice => self.alice.token.clone(),
            Who::TokenBob => self.bob.token.clone(),
            Who::OtherKey => self.b.api.clone(),
            Who::OtherKeyAlice => self.b_alice.key.clone(),
            Who::OtherToken => self.b_alice.token.clone(),
            Who::Ticket | Who::Nobody => self.site.anybody(),
            Who::Garbage => self.site.anybody().bearer("hw_sk_this-is-not-a-key-of-anybody-anywhere-at-all"),
        }
    }

    /// The path with ids in it. What is to be deleted is made for the purpose.
    pub(super) async fn path(&self, method: &str, template: &str) -> String {
        let deleted = |what: &str| method == "DELETE" && template.ends_with(what);
        let (mut tenant, mut user) = (self.a.id.clone(), self.alice.id.clone());
        let (mut agent, mut thread) = (self.agent.clone(), self.thread.clone());
        if deleted("/{tenant}") {
            tenant = self.site.tenant().await.id;
        }
        let key = if deleted("/{key}") {
            let path = format!("/v1/tenants/{tenant}/keys");
            id(&self.site.operator().post(&path, json!({"name": "k"})).await.ok(201))
        } else {
            self.a.key_id.clone()
        };
        if deleted("/{thread}") {
            thread = id(&self.alice.key.post("/v1/threads", json!({"title": ALICES})).await.ok(201));
        }
        if deleted("/{agent}") {
            let config = json!({"name": unique("agent"), "model": self.model});
            agent = id(&self.a.api.post("/v1/agents", config).await.ok(201));
        }
        if method == "PUT" {
            // By name: a new one each time.
            agent = unique("agent");
        }
        if deleted("/{user}") {
            user = id(&self.a.api.post("/v1/users", json!({"external_id": unique("user")})).await.ok(201));
        }
        if template == "/v1/memory/{key}" {
            // One that alice alone has; what is written is nobody's yet.
            self.alice.key.put("/v1/memory/alices", json!({"value": ALICES})).await.ok(200);
            return if method == "PUT" { format!("/v1/memory/{}", unique("key")) } else { "/v1/memory/alices".into() };
        }
        if template == "/v1/secrets/{name}" {
            self.a.api.put("/v1/secrets/AS", json!({"value": AS})).await.ok(200);
            return format!("/v1/secrets/{}", if method == "PUT" { "WRITTEN" } else { "AS" });
        }
        if template == "/v1/provider_keys/{provider}" {
            self.a.api.put("/v1/provider_keys/fake", json!({"key": AS})).await.ok(200);
            return format!("/v1/provider_keys/{}", if method == "PUT" { "openai" } else { "fake" });
        }
        let mut server = String::new();
        if template.contains("{server}") {
            let made = json!({"name": unique("mcp"), "url": format!("http://127.0.0.1:1/{AS}")});
            server = id(&self.a.api.post("/v1/mcp_servers", made).await.ok(201));
        }
        let mut budget = String::new();
        if template.contains("{budget}") {
            let of_alice = json!({"type": "user", "id": self.alice.id});
            let made = json!({"scope": of_alice, "mode": "soft", "limit": {"usd": "5"}});
            let (whose, path) = match template.starts_with("/v1/tenants") {
                true => (self.site.operator(), format!("/v1/tenants/{}/budgets", self.a.id)),
                false => (self.a.api.clone(), "/v1/budgets".to_owned()),
            };
            budget = id(&whose.post(&path, made).await.ok(201));
        }
        let mut schedule = String::new();
        if template.contains("{schedule}") {
            let made = json!({"name": ALICES, "agent": self.agent, "input": ALICES, "cron": "0 7 1 1 *"});
            schedule = id(&self.alice.key.post("/v1/schedules", made).await.ok(201));
        }
        let mut endpoint = self.endpoint.clone();
        if deleted("/{endpoint}") {
            let path = "/v1/webhook_endpoints";
            // There may be few: those go that nobody was allowed to remove.
            for old in self.a.api.get(path).await.ok(200)["data"].as_array().expect("a list") {
                if old["metadata"]["of"] == "nobody" {
                    self.a.api.delete(&format!("{path}/{}", id(old))).await.ok(204);
                }
            }
            let made = json!({"url": "http://127.0.0.1:1/", "events": ["run.failed"], "metadata": {"of": "nobody"}});
            endpoint = id(&self.a.api.post(path, made).await.ok(201));
        }
        let mut issuer = String::new();
        if template.contains("{issuer}") {
            let path = "/v1/issuers";
            // Of those a tenant has so many at most.
            for old in self.a.api.get(&format!("{path}?limit=100")).await.ok(200)["data"].as_array().expect("a list") {
                self.a.api.delete(&format!("{path}/{}", id(old))).await.ok(204);
            }
            let made = json!({"issuer": format!("https://{}.test/", unique("issuer")), "audience": "app"});
            issuer = id(&self.a.api.post(path, made).await.ok(201));
        }
        let plan = unique("plan");
        if template.contains("{plan}") {
            self.site.operator().put(&format!("/v1/plans/{plan}"), json!({})).await.ok(200);
        }
        let run = if template.contains("{approval}") { &self.asking } else { &self.run };
        template
            .replace("{server}", &server)
            .replace("{budget}", &budget)
            .replace("{schedule}", &schedule)
            .replace("{endpoint}", &endpoint)
            .replace("{delivery}", &self.delivery)
            .replace("{plan}", &plan)
            .replace("{issuer}", &issuer)
            .replace("{approval}", &self.approval)
            .replace("{artifact}", &self.artifact)
            .replace("{tenant}", &tenant)
            .replace("{key}", &key)
            .replace("{user}", &user)
            .replace("{agent}", &agent)
            .replace("{version}", "1")
            .replace("{thread}", &thread)
            .replace("{chat}", &thread)
            .replace("{message}", &self.message)
            .replace("{call}", &self.run.replace("run_", "call_"))
            .replace("{run}", run)
            .replace("{response}", &self.run.replace("run_", "resp_"))
    }

    /// The body with ids in it.
    pub(super) fn body(&self, body: &Value) -> Value {
        let text = body
            .to_string()
            .replace("{unique}", &unique("name"))
            .replace("{alice-private}", ALICES)
            .replace("{a-private}", AS)
            .replace("{model}", &self.model)
            .replace("{user}", &self.alice.id)
            .replace("{agent}", &self.agent);
        serde_json::from_str(&text).expect("still JSON")
    }

    /// What this actor must never read.
    pub(super) fn forbidden(&self, who: Who) -> Vec<&str> {
        match who {
            Who::Key | Who::KeyAlice => vec![],
            Who::KeyBob => vec![ALICES],
            Who::TokenAlice => vec![AS],
            Who::TokenBob => vec![ALICES, AS],
            // The operator manages tenants and reads none of their threads.
            Who::Operator => vec![ALICES, AS],
            Who::KeyForeignUser
            | Who::OtherKey
            | Who::OtherKeyAlice
            | Who::OtherToken
            | Who::Ticket
            | Who::Nobody
            | Who::Garbage => {
                vec![ALICES, AS, &self.a.id, &self.alice.id, &self.bob.id, &self.agent, &self.thread, &self.run]
            }
        }
    }
}
