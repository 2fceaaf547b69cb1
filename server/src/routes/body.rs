//! Request bodies, read before the object in the path is looked up and judged after it, so that another tenant's id is
//! 404 whatever the body says.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use dashmap::DashSet;
use headwater_protocol::{ErrorCode, Problem};
use headwater_store::pool::Idempotency;
use headwater_store::unscoped::OperatorOnce;
use http::request::Parts;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::idempotency::{NAME, fingerprint, idempotency_key};
use crate::http::json::{self, ApiJson, Canonical};
use crate::keys::hex;
use crate::wiring::AppState;

/// How often OpenAI's libraries have sent a request before, from 0 (openai-node `client.ts`, openai-python `_base_client.py`).
const REPEATED: &str = "x-stainless-retry-count";

/// A body that says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// A request's body with what identifies the request.
pub struct ApiBody {
    method: Method,
    path: String,
    headers: HeaderMap,
    read: Result<(Value, Canonical), ApiError>,
}

impl FromRequest<AppState> for ApiBody {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, state: &AppState) -> Result<Self, ApiError> {
        let (method, path, headers) =
            (request.method().clone(), request.uri().path().to_owned(), request.headers().clone());
        let read =
            ApiJson::<Value>::from_request(request, state).await.map(|ApiJson(value, canonical)| (value, canonical));
        Ok(Self { method, path, headers, read })
    }
}

impl ApiBody {
    fn read(&self) -> Result<&(Value, Canonical), ApiError> {
        self.read.as_ref().map_err(ApiError::clone)
    }

    /// The body as a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let (_, canonical) = self.read()?;
        json::parse(&self.method, &canonical.0).map(|(value, _)| value)
    }

    /// The body as a JSON merge patch (RFC 7396) on `current`.
    pub fn patch<T: Serialize + DeserializeOwned>(&self, current: &T) -> Result<T, ApiError> {
        let (patch, _) = self.read()?;
        if !patch.is_object() {
            return Err(Problem::new(ErrorCode::InvalidValue, "the body must be an object").into());
        }
        let mut merged = serde_json::to_value(current).map_err(ApiError::internal)?;
        merge(&mut merged, patch.clone());
        from_value(merged, "")
    }

    /// What a repeated request must find again, and the mark that this one is under way.
    ///
    /// # Errors
    /// `idempotency_in_progress` while the first request with this key runs on this process.
    pub fn idempotency(&self, state: &AppState, caller: &Caller) -> Result<Once, ApiError> {
        let Some(key) = idempotency_key(&self.headers)? else { return Ok(Once::default()) };
        let actor = caller.actor_id();
        let running = state.in_progress.enter(actor, &key)?;
        Ok(Once {
            key: Some(Idempotency { actor, key, fingerprint: self.fingerprint()?.to_vec() }),
            _running: Some(running),
        })
    }

    /// The same for a library that repeats a request whose answer was cut and counts how often, but gives it no key: OpenAI's do. What it
    /// repeats is the newest request of the same words whose run goes on, or was completed not long ago. Two that nobody repeats are two.
    ///
    /// # Errors
    /// As [`idempotency`](Self::idempotency); and while one of the same words is under way on this process, of whatever count.
    pub async fn idempotency_or_count(&self, state: &AppState, caller: &Caller) -> Result<Once, ApiError> {
        let count = self.headers.get(REPEATED).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        let Some(count) = count.filter(|_| !self.headers.contains_key(NAME)) else {
            return self.idempotency(state, caller);
        };
        let (actor, fingerprint) = (caller.actor_id(), self.fingerprint()?.to_vec());
        // With a space, which no key of a client's has: nobody else writes names like these.
        let name = format!("{REPEATED} {}:", hex(&fingerprint));
        let before = if count == 0 {
            None
        } else {
            state.in_progress.none_begins(actor, &name)?;
            state.store.scoped(caller.scope()).idempotency_newest(actor, &name).await?
        };
        let key = before.unwrap_or_else(|| format!("{name}{}", Uuid::now_v7()));
        let running = state.in_progress.enter(actor, &key)?;
        Ok(Once { key: Some(Idempotency { actor, key, fingerprint }), _running: Some(running) })
    }

    /// The same for the operator.
    pub fn operator_once(&self, state: &AppState) -> Result<Option<(OperatorOnce, Running)>, ApiError> {
        let Some(key) = idempotency_key(&self.headers)? else { return Ok(None) };
        let running = state.in_progress.enter(Uuid::nil(), &key)?;
        Ok(Some((OperatorOnce { key, fingerprint: self.fingerprint()?.to_vec() }, running)))
    }

    fn fingerprint(&self) -> Result<[u8; 32], ApiError> {
        let (_, canonical) = self.read()?;
        Ok(fingerprint(&self.method, &self.path, &canonical.0))
    }
}

/// A request that is carried out once; to be kept until it has been.
#[derive(Debug, Default)]
pub struct Once {
    key: Option<Idempotency>,
    _running: Option<Running>,
}

impl Once {
    /// Of a request whose body is not JSON. `asked`: all that tells it from another one.
    ///
    /// # Errors
    /// As [`ApiBody::idempotency`].
    pub fn of(state: &AppState, caller: &Caller, parts: &Parts, asked: &[u8]) -> Result<Self, ApiError> {
        let Some(key) = idempotency_key(&parts.headers)? else { return Ok(Self::default()) };
        let actor = caller.actor_id();
        let running = state.in_progress.enter(actor, &key)?;
        let fingerprint = fingerprint(&parts.method, parts.uri.path(), asked).to_vec();
        Ok(Self { key: Some(Idempotency { actor, key, fingerprint }), _running: Some(running) })
    }

    /// Of a request that names itself by what it asks for, where its client sends no key. One that comes at the same instant is not refused:
    /// its client could not know why. It is told the one answer, as one that comes later is.
    pub fn named(caller: &Caller, key: String, asked: &[u8]) -> Self {
        let fingerprint = fingerprint(&Method::POST, &key, asked).to_vec();
        Self { key: Some(Idempotency { actor: caller.actor_id(), key, fingerprint }), _running: None }
    }

    /// What to remember in the transaction of the effect.
    pub fn key(&self) -> Option<&Idempotency> {
        self.key.as_ref()
    }
}

/// Requests with a key that are under way on this process.
#[derive(Debug, Clone, Default)]
pub struct InProgress(Arc<DashSet<(Uuid, String)>>);

impl InProgress {
    fn enter(&self, actor: Uuid, key: &str) -> Result<Running, ApiError> {
        let entry = (actor, key.to_owned());
        if !self.0.insert(entry.clone()) {
            let detail = "the first request with this Idempotency-Key is still running";
            return Err(ApiError::new(ErrorCode::IdempotencyInProgress, detail));
        }
        Ok(Running { all: self.clone(), entry })
    }

    /// Refuses while a request of this actor is under way whose key begins so. Looks at all there are, which are few: for what is rare.
    fn none_begins(&self, actor: Uuid, name: &str) -> Result<(), ApiError> {
        if self.0.iter().any(|entry| entry.0 == actor && entry.1.starts_with(name)) {
            let detail = "the same request, which this one repeats, is still running";
            return Err(ApiError::new(ErrorCode::IdempotencyInProgress, detail));
        }
        Ok(())
    }
}

/// One request under way.
#[derive(Debug)]
pub struct Running {
    all: InProgress,
    entry: (Uuid, String),
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.0.remove(&self.entry);
    }
}

/// Applies a merge patch: `null` removes, objects merge, all else replaces.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A part of a body as a `T`; `at` is its JSON pointer.
pub fn from_value<T: DeserializeOwned>(value: Value, at: &str) -> Result<T, ApiError> {
    let bytes = serde_json::to_vec(&value).map_err(ApiError::internal)?;
    json::parse(&Method::PUT, &bytes).map(|(value, _)| value).map_err(|error| {
        let mut problem = error.into_problem();
        for field in &mut problem.errors {
            field.param = format!("{at}{}", field.param);
        }
        problem.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_as_in_the_rfc() {
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        ] {
            let mut target = target;
            merge(&mut target, patch);
            assert_eq!(target, merged);
        }
    }
}
