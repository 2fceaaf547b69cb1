//! Users who come with a token of their tenant's own identity provider.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_testkit::ToolServer;
use headwater_testkit::model::Reply;
use headwater_testkit::tools::ToolAnswer;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Api, Lane, Site, Tenant};

/// A key of an identity provider.
struct Key {
    kid: &'static str,
    private: Vec<u8>,
    public: Vec<u8>,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let private =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref()).expect("a key");
        Self { kid, private: private.as_ref().to_vec(), public: pair.public_key().as_ref().to_vec() }
    }

    /// As its provider publishes it.
    fn jwk(&self) -> Value {
        let (x, y) = self.public[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.into()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&self.private)).expect("signs")
    }
}

/// A provider that publishes these keys, and says of itself what `configuration` makes of its address.
fn provider(keys: Vec<Value>, configuration: impl Fn(&str) -> Value + Send + Sync + 'static) -> ToolServer {
    ToolServer::start(move |asked| {
        let host = asked.header("host").unwrap_or_default().to_owned();
        match asked.path.as_str() {
            "/keys" => ToolAnswer::json(&json!({"keys": keys})),
            "/.well-known/openid-configuration" => ToolAnswer::json(&configuration(&format!("http://{host}"))),
            _ => ToolAnswer::text("").status(404),
        }
    })
}

fn base(provider: &ToolServer) -> String {
    provider.url.trim_end_matches('/').to_owned()
}

fn in_seconds(seconds: i64) -> i64 {
    jiff::Timestamp::now().as_second() + seconds
}

fn claims(issuer: &str, audience: impl Into<Value>, user: &str) -> Value {
    json!({"iss": issuer, "aud": audience.into(), "sub": user, "exp": in_seconds(600)})
}

fn with_token(site: &Site, token: &str) -> Api {
    site.anybody().with("authorization", &format!("Bearer {token}"))
}

async fn adds(tenant: &Tenant, more: Value) -> Value {
    let mut body = json!({"issuer": "https://id.acme.test/", "audience": "app", "algorithms": ["ES256"]});
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    tenant.api.post("/v1/issuers", body).await.ok(201)
}

#[tokio::test]
async fn a_user_comes_with_a_token_of_the_tenants_own() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    tenant.agent(&Lane::sequence([Reply::text("Hello.")])).await;
    let key = Key::new("one");
    let server = provider(vec![json!({"kty": "of later"}), key.jwk()], |_| Value::Null);
    let uri = format!("{}/keys", base(&server));
    let issuer = adds(&tenant, json!({"jwks_uri": uri, "scopes": ["runs:write", "runs:read"]})).await;
    assert_eq!((&issuer["user_claim"], &issuer["algorithms"]), (&json!("sub"), &json!(["ES256"])));

    // The tenant is named by the token,
    let id = tenant.id.as_str();
    let token = key.sign(&claims("https://id.acme.test/", json!(["app", id]), "auth0|alice"));
    let alice = with_token(&site, &token);
    let me = alice.get("/v1/me").await.ok(200);
    assert_eq!((&me["tenant"], &me["scopes"]), (&json!(id), &json!(["runs:write", "runs:read"])));
    let run = alice.post("/v1/runs?wait_ms=20000", json!({"agent": "assistant", "input": "Hi"})).await.ok(201);
    assert_eq!(run["result"]["text"], "Hello.");
    // by the request,
    let token = key.sign(&claims("https://id.acme.test/", "app", "auth0|alice"));
    let by_request = with_token(&site, &token).with("headwater-tenant", id);
    assert_eq!(by_request.get("/v1/me").await.ok(200)["user"], me["user"]);
    // and if by nothing, it is nobody's.
    with_token(&site, &token).get("/v1/me").await.problem(401, "unauthenticated");
    // She is a user like any other of the tenant's.
    let user = tenant.api.get("/v1/users/auth0%7Calice").await.ok(200);
    assert_eq!(user["id"], me["user"]);
    alice.get("/v1/threads").await.problem(403, "forbidden");
    // Keys are asked for once.
    assert_eq!(server.requests().len(), 1);
    // Who is blocked stays out, whoever vouches; and what is not vouched for any more is nothing.
    let path = format!("/v1/issuers/{}", issuer["id"].as_str().expect("an id"));
    tenant.api.patch(&path, json!({"scopes": ["threads:read"]})).await.ok(200);
    alice.get("/v1/threads").await.ok(200);
    tenant.api.delete(&path).await.ok(204);
    alice.get("/v1/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_is_not_the_tenants_own_issuers_word_is_nobodys() {
    let site = Site::shared().await;
    let (a, b) = (site.tenant().await, site.tenant().await);
    let (key, stranger) = (Key::new("one"), Key::new("one"));
    let server = provider(vec![key.jwk()], |_| Value::Null);
    let uri = format!("{}/keys", base(&server));
    adds(&a, json!({"jwks_uri": uri})).await;
    let issuer = "https://id.acme.test/";
    let good = claims(issuer, json!(["app", a.id]), "alice");
    with_token(&site, &key.sign(&good)).get("/v1/me").await.ok(200);
    let refused = |what: &'static str, token: String, code: &'static str| {
        let api = with_token(&site, &token);
        async move {
            let answer = api.get("/v1/me").await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some(code)), "{what}: {}", answer.text());
        }
    };
    let changed = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        claims
    };
    refused("signed by somebody else", stranger.sign(&good), "unauthenticated").await;
    refused("another issuer", key.sign(&changed("iss", json!("https://id.other.test/"))), "unauthenticated").await;
    refused("for another application", key.sign(&changed("aud", json!(["other", a.id]))), "unauthenticated").await;
    // The issuer is A's: of B's users it says nothing, whatever the token names.
    refused("for another tenant", key.sign(&changed("aud", json!(["app", b.id]))), "unauthenticated").await;
    refused("expired", key.sign(&changed("exp", json!(in_seconds(-60)))), "token_expired").await;
    refused("of tomorrow", key.sign(&changed("nbf", json!(in_seconds(3600)))), "unauthenticated").await;
    let mut endless = good.clone();
    endless.as_object_mut().expect("claims").remove("exp");
    refused("without an end", key.sign(&endless), "unauthenticated").await;
    refused("of nobody", key.sign(&changed("sub", Value::Null)), "unauthenticated").await;
    refused("of one of our own ids", key.sign(&changed("sub", json!("usr_x"))), "unauthenticated").await;
    refused("of no external_id", key.sign(&changed("sub", json!("a b/c"))), "unauthenticated").await;
    // A public key is no shared secret, and none at all is none.
    let payload = URL_SAFE_NO_PAD.encode(good.to_string());
    let unsigned = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
    refused("unsigned", unsigned, "unauthenticated").await;
    let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) };
    let shared = jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(&key.public)).expect("signs");
    refused("signed with the public key", shared, "unauthenticated").await;
    // Somebody whom the tenant has blocked.
    let alice = a.api.get("/v1/users/alice").await.ok(200);
    a.api
        .patch(&format!("/v1/users/{}", alice["id"].as_str().expect("an id")), json!({"status": "blocked"}))
        .await
        .ok(200);
    with_token(&site, &key.sign(&good)).get("/v1/me").await.problem(403, "user_blocked");
}

#[tokio::test]
async fn an_issuer_says_itself_where_its_keys_are() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let key = Key::new("one");
    let honest = provider(vec![key.jwk()], |own| json!({"issuer": own, "jwks_uri": format!("{own}/keys")}));
    let liar =
        provider(vec![key.jwk()], |own| json!({"issuer": "https://id.acme.test", "jwks_uri": format!("{own}/keys")}));
    let lost = provider(Vec::new(), |own| json!({"issuer": own, "jwks_uri": "http://10.1.2.3/keys"}));
    for (server, status) in [(&honest, 200), (&liar, 401), (&lost, 401)] {
        adds(&tenant, json!({"issuer": base(server)})).await;
        let token = key.sign(&claims(&base(server), json!(["app", tenant.id]), "alice"));
        let answer = with_token(&site, &token).get("/v1/me").await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn what_cannot_be_an_issuer_is_refused() {
    let site = Site::shared().await;
    let tenant = site.tenant().await;
    let body = |more: Value| {
        let mut body = json!({"issuer": "https://id.acme.test/", "audience": "app"});
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        body
    };
    let add = |more: Value| tenant.api.post("/v1/issuers", body(more));
    add(json!({"issuer": "headwater"})).await.blames(422, "invalid_value", "/issuer");
    add(json!({"algorithms": ["HS256"]})).await.blames(422, "invalid_value", "/algorithms/0");
    add(json!({"algorithms": []})).await.blames(422, "invalid_value", "/algorithms");
    add(json!({"scopes": ["*"]})).await.problem(422, "invalid_value");
    for uri in ["http://10.1.2.3/keys", "http://169.254.169.254/keys", "file:///etc/passwd"] {
        add(json!({"jwks_uri": uri})).await.problem(422, "url_not_allowed");
    }
    let made = add(json!({})).await.ok(201);
    assert_eq!(made["algorithms"], json!(["RS256", "ES256"]));
    let taken = add(json!({})).await.problem(409, "already_exists");
    assert_eq!(taken["existing"], made["id"]);
    for nth in 1..16 {
        add(json!({"audience": format!("app {nth}")})).await.ok(201);
    }
    add(json!({"audience": "one more"})).await.blames(422, "invalid_value", "/issuer");
}
