//! Railway's public API, as far as replicas go.
//!
//! Reads how many there are to be, and sets it the way the dashboard does (a patch of the environment's configuration that is committed),
//! read in Railway's documentation and the sources of its CLI in autumn 2026. An answer of 200 can be a refusal: it holds `errors`.

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// A token and how it is sent.
#[derive(Debug)]
pub(super) enum Token {
    /// Of an account or a workspace.
    Bearer(SecretString),
    /// Of one environment of one project.
    Project(SecretString),
}

/// A service in an environment.
#[derive(Debug)]
pub(super) struct Railway {
    pub(super) http: reqwest::Client,
    pub(super) url: reqwest::Url,
    pub(super) token: Token,
    pub(super) service: String,
    pub(super) environment: String,
}

/// What is said of a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// How many replicas there are to be.
    pub(super) replicas: u32,
    /// Where; `None`: Railway does not say.
    pub(super) region: Option<String>,
    /// How many run.
    pub(super) running: usize,
}

const READ: &str = "query ($serviceId: String!, $environmentId: String!) {
  serviceInstance(serviceId: $serviceId, environmentId: $environmentId) {
    numReplicas region latestDeployment { meta instances { status } }
  }
}";
const PATCH: &str = "mutation ($environmentId: String!, $patch: EnvironmentConfig!, $commitMessage: String) {
  environmentPatchCommit(environmentId: $environmentId, patch: $patch, commitMessage: $commitMessage)
}";
const UPDATE: &str = "mutation ($serviceId: String!, $environmentId: String!, $input: ServiceInstanceUpdateInput!) {
  serviceInstanceUpdate(serviceId: $serviceId, environmentId: $environmentId, input: $input)
}";

impl Railway {
    /// How many replicas there are to be, and run.
    pub(super) async fn scale(&self) -> anyhow::Result<Scale> {
        let variables = json!({"serviceId": self.service, "environmentId": self.environment});
        let answer = self.ask(READ, variables).await.context("could not read the service's replicas")?;
        read(&answer["serviceInstance"])
    }

    /// Sets how many there are to be.
    pub(super) async fn set(&self, now: &Scale, replicas: u32) -> anyhow::Result<()> {
        let asked = match &now.region {
            Some(region) => {
                let deploy = json!({"multiRegionConfig": {region: {"numReplicas": replicas}}});
                let patch = json!({"services": {&self.service: {"deploy": deploy}}});
                let message = format!("headwater autoscale: {} -> {replicas} replicas", now.replicas);
                self.ask(PATCH, json!({"environmentId": self.environment, "patch": patch, "commitMessage": message}))
            }
            None => {
                let input = json!({"numReplicas": replicas});
                self.ask(UPDATE, json!({"serviceId": self.service, "environmentId": self.environment, "input": input}))
            }
        };
        asked.await.context("could not set the service's replicas")?;
        Ok(())
    }

    async fn ask(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let request = self.http.post(self.url.clone()).json(&json!({"query": query, "variables": variables}));
        let request = match &self.token {
            Token::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Token::Project(token) => request.header("project-access-token", token.expose_secret()),
        };
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let (status, again) = (answer.status(), answer.headers().get("retry-after").cloned());
        if status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            let seconds = again.and_then(|value| value.to_str().ok().map(str::to_owned)).unwrap_or_default();
            bail!("Railway takes no more requests for now (retry after {seconds} s)");
        }
        let body = answer.bytes().await.map_err(reqwest::Error::without_url)?;
        // What stands before the API may answer with a page.
        let body: Value = serde_json::from_slice(&body)
            .map_err(|_| anyhow::anyhow!("Railway answered {status}, and what is no JSON"))?;
        if let Some(error) = body["errors"].get(0) {
            bail!("Railway answered {status}: {}", error["message"].as_str().unwrap_or("an error without a message"));
        }
        if !status.is_success() || body["data"].is_null() {
            bail!("Railway answered {status}, and no data");
        }
        Ok(body["data"].clone())
    }
}

fn read(instance: &Value) -> anyhow::Result<Scale> {
    if instance.is_null() {
        bail!("there is no such service in this environment");
    }
    let deployment = &instance["latestDeployment"];
    let statuses = deployment["instances"].as_array().into_iter().flatten();
    let running = statuses.filter(|one| one["status"] == "RUNNING").count();
    let regions = deployment["meta"]["serviceManifest"]["deploy"]["multiRegionConfig"].as_object();
    let set: Vec<_> = regions.into_iter().flatten().filter(|(_, set)| !set.is_null()).collect();
    if set.len() > 1 {
        bail!("this service runs in several regions: which of them is to have more is not for this command to say");
    }
    let number = |value: &Value| value.as_u64().and_then(|count| u32::try_from(count).ok());
    let own = instance["region"].as_str().map(str::to_owned);
    Ok(match set.first() {
        Some((region, set)) => {
            Scale { replicas: number(&set["numReplicas"]).unwrap_or(1), region: Some((*region).clone()), running }
        }
        None => Scale { replicas: number(&instance["numReplicas"]).unwrap_or(1), region: own, running },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_wherever_it_stands() {
        let scale = |value: Value| read(&value).ok();
        let one = |replicas, region: Option<&str>, running| {
            Some(Scale { replicas, region: region.map(str::to_owned), running })
        };
        assert_eq!(scale(json!({"numReplicas": 3, "region": "us-west2"})), one(3, Some("us-west2"), 0));
        assert_eq!(scale(json!({"numReplicas": null, "region": null})), one(1, None, 0));
        let deploy = |regions: Value| {
            json!({"numReplicas": 1, "latestDeployment": {"meta": {"serviceManifest": {"deploy": {"multiRegionConfig": regions}}},
                "instances": [{"status": "RUNNING"}, {"status": "CRASHED"}, {"status": "RUNNING"}]}})
        };
        let two = json!({"europe-west4-drams3a": {"numReplicas": 2}, "us-west2": null});
        assert_eq!(scale(deploy(two)), one(2, Some("europe-west4-drams3a"), 2));
        assert_eq!(scale(deploy(json!({"a": {"numReplicas": 2}, "b": {"numReplicas": 1}}))), None);
        assert_eq!(scale(Value::Null), None);
    }
}
