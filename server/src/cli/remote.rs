//! Commands that work over HTTP: where the server is, with which key, and what its refusals mean for a person.
//!
//! Promises that a key is never sent to a server it was not meant for: the address and the key come from the same
//! place, the environment or `dev.env`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use headwater_client::protocol::ErrorCode;
use headwater_client::{Client, Error, RetryPolicy};

use super::data_dir::{DEV_ENV, DataDir};
use super::{env_file, myself};

const URL: &str = "HEADWATER_URL";

/// Where `dev.env` is.
#[derive(Debug, clap::Args)]
pub(super) struct RemoteArgs {
    /// Headwater's data directory; its dev.env is read unless HEADWATER_URL is set
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data_dir: Option<PathBuf>,
}

/// Whose key a command needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Credential {
    /// A tenant's.
    Tenant,
    /// The operator's.
    Operator,
}

impl Credential {
    /// The variable that holds it.
    fn variable(self) -> &'static str {
        match self {
            Self::Tenant => "HEADWATER_API_KEY",
            Self::Operator => "HEADWATER_OPERATOR_KEY",
        }
    }
}

/// A server, and the key for it.
#[derive(Debug)]
pub(super) struct Remote {
    /// Calls it.
    pub(super) client: Client,
    url: String,
    /// Where the key comes from, for a person.
    source: String,
}

impl Remote {
    /// Finds address and key. Connects to nothing.
    pub(super) fn find(args: &RemoteArgs, credential: Credential, user: Option<&str>) -> anyhow::Result<Self> {
        let data = DataDir::at(args.data_dir.as_deref());
        let place = data.file(DEV_ENV).display().to_string();
        let file = data.read(DEV_ENV)?.map(|text| env_file::parse(&text));
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // A directory that was named is meant, whatever the environment says.
        let named = args.data_dir.is_some();
        let found = choose(credential, |name| env(name).filter(|_| !named), file.as_ref(), &place)?;
        let client = client(&found.url, &found.key, user)?;
        Ok(Self { client, url: found.url, source: found.source })
    }

    /// An error in words that say what to do.
    pub(super) fn explain(&self, error: Error) -> anyhow::Error {
        let Self { url, source, .. } = self;
        let unreachable = matches!(&error, Error::Transport(_) | Error::Timeout(_) | Error::Cut | Error::Edge { .. })
            || matches!(&error, Error::GaveUp { last, .. } if last.problem().is_none());
        if unreachable {
            let mut cause: &dyn std::error::Error = &error;
            // What the system said is the innermost: "Connection refused".
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            return anyhow!(
                "no answer from {url} ({cause}); start the server there with `{}`, or set {URL} and the key to those \
                 of another one",
                myself()
            );
        }
        let Some(problem) = error.problem() else { return error.into() };
        let id = match &error {
            Error::Api { request_id: Some(id), .. } => format!(" [{id}]"),
            _ => String::new(),
        };
        match problem.code {
            ErrorCode::Unauthenticated | ErrorCode::TokenExpired => anyhow!(
                "{url} refused the key from {source}: {}; set it to one that works there (`{} key create TENANT` makes \
                 one)",
                problem.message(),
                myself()
            ),
            ErrorCode::Forbidden => {
                anyhow!("the key from {source} may not do this: {}; use one with the scope for it", problem.message())
            }
            ErrorCode::AgentNotFound => {
                anyhow!("{}; `{} agent apply FILE` makes one{id}", problem.message(), myself())
            }
            _ if problem.retryable => anyhow!("{problem}; try again in a moment{id}"),
            _ => anyhow!("{problem}{id}"),
        }
    }
}

/// A client for this address. Never through a proxy to our own machine, whatever the environment says.
pub(super) fn client(url: &str, key: &str, user: Option<&str>) -> anyhow::Result<Client> {
    let mut http = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("headwater-cli/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        http = http.no_proxy();
    }
    let http = http.build().map_err(|error| anyhow!("could not set up HTTP: {error}"))?;
    let retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    let mut client = Client::builder(url).api_key(key).http(http).retry(retry);
    if let Some(user) = user {
        client = client.as_user(user);
    }
    client.build().map_err(|error| anyhow!("{error}; look at {URL}, the key and --user"))
}

fn is_loopback(url: &str) -> bool {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    url: String,
    key: String,
    source: String,
}

/// Address and key of one place.
fn choose(
    credential: Credential,
    env: impl Fn(&str) -> Option<String>,
    file: Option<&BTreeMap<String, String>>,
    place: &str,
) -> anyhow::Result<Found> {
    let name = credential.variable();
    let in_file = |name: &str| file.and_then(|file| file.get(name)).cloned();
    let (url, key) = match (env(URL), env(name)) {
        (Some(url), Some(key)) => {
            return Ok(Found { url, key, source: name.to_owned() });
        }
        (Some(url), None) if in_file(URL).as_ref() == Some(&url) => (Some(url), in_file(name)),
        (Some(url), None) => {
            bail!("{URL} is set ({url}), but {name} is not; set it too, or unset {URL} to use dev.env")
        }
        (None, Some(key)) => (in_file(URL), Some(key)),
        (None, None) => (in_file(URL), in_file(name)),
    };
    let source = if env(name).is_some() { name.to_owned() } else { place.to_owned() };
    match (url, key) {
        (Some(url), Some(key)) => Ok(Found { url, key, source }),
        _ => bail!(
            "no server to talk to: {place} is not there or not whole; start `{}` in another terminal, or set {URL} and \
             {name}, or name its --data-dir",
            myself()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_key_goes_to_its_own_server_only() {
        let file = variables(&[("HEADWATER_URL", "http://dev"), ("HEADWATER_API_KEY", "dev-key")]);
        let find = |env: &[(&str, &str)], file: Option<&BTreeMap<_, _>>| {
            let env = variables(env);
            choose(Credential::Tenant, |name| env.get(name).cloned(), file, "dev.env")
                .map(|found| (found.url, found.key))
                .map_err(|error| error.to_string())
        };
        let pair = |url: &str, key: &str| Ok((url.to_owned(), key.to_owned()));
        assert_eq!(find(&[], Some(&file)), pair("http://dev", "dev-key"));
        let both = [("HEADWATER_URL", "http://prod"), ("HEADWATER_API_KEY", "prod-key")];
        assert_eq!(find(&both, Some(&file)), pair("http://prod", "prod-key"));
        assert_eq!(find(&[("HEADWATER_URL", "http://dev")], Some(&file)), pair("http://dev", "dev-key"));
        assert_eq!(find(&[("HEADWATER_API_KEY", "mine")], Some(&file)), pair("http://dev", "mine"));
        assert!(find(&both[..1], Some(&file)).is_err_and(|e| e.contains("HEADWATER_API_KEY is not")));
        assert!(find(&[], None).is_err_and(|e| e.contains("start `")));
    }

    #[test]
    fn our_own_machine() {
        for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1/v1"] {
            assert!(is_loopback(url), "{url}");
        }
        assert!(!is_loopback("https://headwater.example"));
    }
}
