//! The settings: `config/default.toml`, then a file, then the environment.
//!
//! Owns every name that an operator can set, its default (in `config/default.toml`, compiled in) and its bounds.
//! Promises that a setting which is unknown or out of bounds is refused with the name of the variable, or the file and
//! key, that set it, and that no secret is ever printed.
//! Never reads the process environment itself and never keeps a global: the caller passes one in and the settings on.

mod layers;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use headwater_llm::{Protocol, ProviderConfig};
use serde::Deserialize;

pub use sections::*;

use layers::Layers;

/// The compiled-in defaults, with a comment on each key.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Settings that cannot be used, and where they were set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read or is not TOML.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A key of a file that is unknown or has a wrong value.
    #[error("{}: {key}: {message}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key, dotted.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// An environment variable that names no setting or has a wrong value.
    #[error("{name}: {message}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Everything an operator can set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the process is for.
    pub profile: Profile,
    /// `[server]`
    pub server: ServerSettings,
    /// `[database]`
    pub database: DatabaseSettings,
    /// `[auth]`
    pub auth: AuthSettings,
    /// `[stream]`
    pub stream: StreamSettings,
    /// `[runs]`
    pub runs: RunSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[llm]`
    pub llm: LlmSettings,
    /// `[tools]`
    pub tools: ReachSettings,
    /// `[messages]`
    pub messages: ReachSettings,
    /// `[lease]`
    pub lease: LeaseSettings,
    /// `[quiet]`
    pub quiet: QuietSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[telemetry]`
    pub telemetry: TelemetrySettings,
    /// `[providers.NAME]`, by name.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// The dotted keys that a file or the environment set.
    #[serde(skip)]
    explicit: BTreeSet<String>,
}

impl Settings {
    /// Reads all layers. `env` is usually `std::env::vars()`.
    pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let env: BTreeMap<String, String> = env.collect();
        let mut layers = Layers::new();
        if let Some(path) = file {
            layers.file(path)?;
        }
        layers.environment(&env)?;
        let mut settings = layers.finish();
        settings.find_provider(&env, "openai", Protocol::OpenAiChat);
        settings.find_provider(&env, "anthropic", Protocol::AnthropicMessages);
        for provider in settings.providers.values_mut() {
            provider.find_key(&env);
        }
        match settings.profile {
            Profile::Production => {}
            Profile::Railway => {
                settings.quiet.enabled |= !settings.explicit.contains("quiet.enabled");
            }
            Profile::Dev => settings.apply_dev_profile(),
        }
        Ok(settings)
    }

    /// Lifts request rates, the caps on runs and streams, and the permit limit, and lets tools reach this machine, except
    /// where that was set on purpose.
    pub fn apply_dev_profile(&mut self) {
        const CAP: usize = 100_000;
        self.profile = Profile::Dev;
        let explicit = &self.explicit;
        let lift = |key: &str, value: &mut usize, to: usize| {
            if !explicit.contains(key) {
                *value = to;
            }
        };
        lift("runs.max_active_per_tenant", &mut self.runs.max_active_per_tenant, CAP);
        lift("runs.max_queued_per_tenant", &mut self.runs.max_queued_per_tenant, CAP);
        lift("runs.max_queued_per_thread", &mut self.runs.max_queued_per_thread, CAP);
        lift("stream.max_open_per_user", &mut self.stream.max_open_per_user, CAP);
        lift("stream.max_open_per_tenant", &mut self.stream.max_open_per_tenant, CAP);
        lift("stream.replay_bytes_per_minute", &mut self.stream.replay_bytes_per_minute, 0);
        lift("llm.max_concurrent", &mut self.llm.max_concurrent, 0);
        // Waiting is impossible without a limit, but a provider may have one of its own.
        lift("llm.max_waiting_per_tenant", &mut self.llm.max_waiting_per_tenant, CAP);
        lift("llm.max_waiting", &mut self.llm.max_waiting, CAP);
        // Tool servers of developers run beside this one.
        for (name, reach) in [("tools", &mut self.tools), ("messages", &mut self.messages)] {
            if !explicit.contains(&format!("{name}.allow_networks")) {
                reach.allow_networks = "127.0.0.0/8,::1/128".to_owned();
            }
        }
        let limits = &mut self.limits;
        for (key, value) in [
            ("limits.requests_per_minute_per_key", &mut limits.requests_per_minute_per_key),
            ("limits.requests_per_minute_per_user", &mut limits.requests_per_minute_per_user),
            ("limits.requests_per_minute_per_tenant", &mut limits.requests_per_minute_per_tenant),
        ] {
            if !self.explicit.contains(key) {
                *value = 0;
            }
        }
    }

    /// Whether a file or the environment set this key, written with dots: `server.host`.
    pub fn is_explicit(&self, key: &str) -> bool {
        self.explicit.contains(key)
    }

    /// The providers as the gateway takes them, with their keys.
    pub fn provider_configs(&self) -> BTreeMap<String, ProviderConfig> {
        self.providers.iter().map(|(name, provider)| (name.clone(), provider.to_config())).collect()
    }

    /// What works but is hardly meant: for the log at start and for `headwater doctor`. Names no secret.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (name, provider) in &self.providers {
            if let Some(variable) = provider.missing_key() {
                warnings.push(format!(
                    "providers.{name}: the environment variable {variable} that api_key_env names is not set"
                ));
            }
        }
        warnings
    }

    /// `NAME_API_KEY` and `NAME_BASE_URL` make a provider of this name, unless one says for itself where and with what.
    fn find_provider(&mut self, env: &BTreeMap<String, String>, name: &str, protocol: Protocol) {
        let upper = name.to_ascii_uppercase();
        let value = |what: &str| env.get(&format!("{upper}_{what}")).filter(|value| !value.is_empty()).cloned();
        let (key, base_url) = (value("API_KEY"), value("BASE_URL"));
        if key.is_none() && base_url.is_none() {
            return;
        }
        let new = || ProviderSettings { protocol, ..ProviderSettings::default() };
        let provider = self.providers.entry(name.to_owned()).or_insert_with(new);
        // The key goes nowhere but where it belongs: not to a base_url that was configured beside it.
        if provider.is_unconfigured(protocol) {
            provider.base_url = base_url;
            provider.api_key = key.map(Into::into);
        }
    }
}
