//! The sections of the settings, as Rust sees them.
//!
//! Owns types and bounds. What each key means and its default is said once, in `config/default.toml`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use headwater_guard::Networks;
use headwater_llm::{MaxTokensField, Prices, Protocol, ProviderConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// What the process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Caps and rates are as set.
    Production,
    /// The same, on a host that puts to sleep what is quiet.
    Railway,
    /// Caps and rates are lifted.
    Dev,
}

/// `[server]`: the listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// The address to listen on.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// For a request's head, and for each read of its body.
    pub request_header_timeout_ms: u64,
    /// From accepting to the first byte.
    pub first_byte_timeout_ms: u64,
    /// For a connection without a request in flight.
    pub keep_alive_ms: u64,
    /// For a write without progress.
    pub write_stall_ms: u64,
    /// For ending runs and streams at a stop.
    pub drain_ms: u64,
    /// The largest JSON body.
    pub max_body_bytes: usize,
    /// The largest head of a request.
    pub max_header_bytes: usize,
    /// Open connections.
    pub max_connections: usize,
    /// Whether the console is served.
    pub console: bool,
}

/// `[database]`: Postgres.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// For somebody who may make roles and schemas.
    #[serde(default, deserialize_with = "secret")]
    pub url: Option<SecretString>,
    /// For the application role.
    #[serde(default, deserialize_with = "secret")]
    pub app_url: Option<SecretString>,
    /// Without a pooler.
    #[serde(default, deserialize_with = "secret")]
    pub direct_url: Option<SecretString>,
    /// Whether a pooler in transaction mode stands before `url`; found out where it is not said.
    #[serde(default)]
    pub pooled: Option<bool>,
    /// Connections for requests.
    pub max_connections: usize,
    /// Connections for flushes.
    pub flush_connections: usize,
    /// Begins the names of our roles.
    pub role_prefix: String,
    /// How long a request waits for a connection.
    pub acquire_timeout_ms: u64,
}

/// `[auth]`: credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// How long a credential's record is believed.
    pub cache_ms: u64,
    /// What secrets are derived from and sealed with.
    #[serde(default, deserialize_with = "secret")]
    pub master_key: Option<SecretString>,
    /// The platform's own key.
    #[serde(default, deserialize_with = "secret")]
    pub operator_key: Option<SecretString>,
    /// What tenants' secrets are sealed with, where not with the master key.
    #[serde(default, deserialize_with = "secret")]
    pub secrets_key: Option<SecretString>,
    /// What they were sealed with before.
    #[serde(default, deserialize_with = "secret")]
    pub old_secrets_key: Option<SecretString>,
}

/// `[stream]`: the event log and its readers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// How long deltas wait for company.
    pub coalesce_ms: u64,
    /// Deltas that do not wait.
    pub flush_bytes: usize,
    /// Rendered events in memory per run.
    pub ring_bytes: usize,
    /// Silence before a comment.
    pub heartbeat_ms: u64,
    /// Age at which a stream is closed.
    pub rotate_ms: u64,
    /// By how much that age varies.
    pub rotate_jitter_ms: u64,
    /// Open streams per user.
    pub max_open_per_user: usize,
    /// Open streams per tenant.
    pub max_open_per_tenant: usize,
    /// Past bytes per user and minute; 0 = no limit.
    pub replay_bytes_per_minute: usize,
    /// Unwritten deltas of one run.
    pub pending_bytes_per_run: usize,
    /// Unwritten deltas of all runs.
    pub pending_bytes_total: usize,
}

/// `[runs]`: caps on runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// Of one tenant, at a time.
    pub max_active_per_tenant: usize,
    /// Of one tenant, waiting.
    pub max_queued_per_tenant: usize,
    /// On one thread, waiting.
    pub max_queued_per_thread: usize,
}

/// `[limits]`: request rates; 0 = no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// With one key.
    pub requests_per_minute_per_key: u32,
    /// For one user.
    pub requests_per_minute_per_user: u32,
    /// For one tenant.
    pub requests_per_minute_per_tenant: u32,
}

/// `[llm]`: calls of models.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlmSettings {
    /// At a time of each model with each key; 0 = no limit.
    pub max_concurrent: usize,
    /// Of one tenant, waiting for one model.
    pub max_waiting_per_tenant: usize,
    /// Of all tenants, waiting for one model.
    pub max_waiting: usize,
    /// Attempts, the first included.
    pub max_attempts: u32,
    /// A file of the operator's own with prices of models; empty: none.
    pub prices_file: String,
}

impl LlmSettings {
    /// The prices of this release, with the operator's own.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn prices(&self) -> anyhow::Result<Prices> {
        let built_in = Prices::builtin();
        if self.prices_file.is_empty() {
            return Ok(built_in);
        }
        let file = &self.prices_file;
        let text = std::fs::read_to_string(file).with_context(|| format!("llm.prices_file: {file} cannot be read"))?;
        built_in.with_own(&text).with_context(|| format!("llm.prices_file: {file}"))
    }
}

/// `[tools]` and `[messages]`: what tenants' tools may reach, and what URLs in messages may.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReachSettings {
    /// Networks beyond the public internet, with commas.
    pub allow_networks: String,
}

impl ReachSettings {
    /// The networks.
    ///
    /// # Errors
    /// The text that is none.
    pub fn networks(&self) -> Result<Networks, String> {
        Networks::parse(self.allow_networks.split(',').filter(|text| !text.trim().is_empty()))
    }
}

/// `[lease]`: who owns runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseSettings {
    /// How long a lease lasts.
    pub ms: u64,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One object per line.
    Json,
    /// For people.
    Text,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is written, in the words of `tracing_subscriber::EnvFilter`.
    pub level: String,
}

/// `[telemetry]`: what is counted, and where it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Who may see it, beside the operator.
    #[serde(default, deserialize_with = "secret")]
    pub metrics_key: Option<SecretString>,
    /// A receiver of OTLP over HTTP, without `/v1/traces`; without it nothing is sent.
    #[serde(default, deserialize_with = "text")]
    pub otlp_endpoint: Option<String>,
    /// `NAME=VALUE` with commas between: credentials.
    #[serde(default, deserialize_with = "secret")]
    pub otlp_headers: Option<SecretString>,
    /// How many of the runs are traces, from 0 to 1, of those that are asked for within nobody's.
    pub trace_ratio: f64,
    /// Whether traces hold what people, models and tools say.
    pub capture_content: bool,
    /// Between two times that counters are sent; 0: they are not.
    pub metrics_interval_ms: u64,
}

impl TelemetrySettings {
    /// How many of the runs are recorded as traces of their own, from 0 to 1.
    pub fn recorded(&self) -> f64 {
        if self.otlp_endpoint.is_some() { self.trace_ratio } else { 0.0 }
    }
}

/// `[quiet]`: a process that nobody needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietSettings {
    /// Whether it goes quiet.
    pub enabled: bool,
    /// After so long with nothing under way.
    pub idle_after_ms: u64,
}

/// `[providers.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its dialect.
    #[serde(default = "openai_chat")]
    pub protocol: Protocol,
    /// Where it is; without it OpenAI, or Anthropic.
    #[serde(default, deserialize_with = "text")]
    pub base_url: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default, deserialize_with = "text")]
    pub api_key_env: Option<String>,
    /// The key: as set, else what `api_key_env` names.
    #[serde(default, deserialize_with = "secret")]
    pub api_key: Option<SecretString>,
    /// Calls at a time; 0 = no limit.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Which field limits the answer.
    #[serde(default)]
    pub max_tokens_field: MaxTokensField,
    /// Whether its answers go on when nobody reads them, so that another process can read on.
    #[serde(default)]
    pub background: bool,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            protocol: openai_chat(),
            base_url: None,
            api_key_env: None,
            api_key: None,
            max_concurrent: None,
            max_tokens_field: MaxTokensField::default(),
            background: false,
        }
    }
}

impl ProviderSettings {
    /// The variable that `api_key_env` names, when no key came from it.
    pub fn missing_key(&self) -> Option<&str> {
        self.api_key_env.as_deref().filter(|_| self.api_key.is_none())
    }

    /// Whether it speaks this, and says neither where it is nor with which key.
    pub(super) fn is_unconfigured(&self, protocol: Protocol) -> bool {
        self.protocol == protocol && self.base_url.is_none() && self.api_key.is_none() && self.api_key_env.is_none()
    }

    /// Takes the key from the variable that `api_key_env` names, unless there is one.
    pub(super) fn find_key(&mut self, env: &BTreeMap<String, String>) {
        if let (None, Some(name)) = (&self.api_key, &self.api_key_env) {
            self.api_key = env.get(name).filter(|value| !value.is_empty()).map(|value| value.clone().into());
        }
    }

    pub(super) fn to_config(&self) -> ProviderConfig {
        ProviderConfig {
            base_url: self.base_url.clone(),
            api_key_env: self.api_key_env.clone(),
            api_key: self.api_key.as_ref().map(|key| key.expose_secret().into()),
            max_concurrent: self.max_concurrent,
            max_tokens_field: self.max_tokens_field,
            background: self.background,
            ..ProviderConfig::new(self.protocol)
        }
    }
}

impl super::Settings {
    /// The first value out of its bounds: its dotted key and what it must be.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fail = |key: &str, must: &str| Err((key.to_owned(), must.to_owned()));
        // A day: nothing here is meant to last longer, and sums of these never overflow.
        const DAY: u64 = 86_400_000;
        let times = [
            ("server.request_header_timeout_ms", self.server.request_header_timeout_ms),
            ("server.first_byte_timeout_ms", self.server.first_byte_timeout_ms),
            ("server.keep_alive_ms", self.server.keep_alive_ms),
            ("server.write_stall_ms", self.server.write_stall_ms),
            ("database.acquire_timeout_ms", self.database.acquire_timeout_ms),
            ("stream.heartbeat_ms", self.stream.heartbeat_ms),
            ("stream.rotate_ms", self.stream.rotate_ms),
            ("lease.ms", self.lease.ms),
            ("quiet.idle_after_ms", self.quiet.idle_after_ms),
        ];
        for (key, value) in times {
            if !(1..=DAY).contains(&value) {
                return fail(key, "must be 1 to 86400000 milliseconds");
            }
        }
        for (key, value) in [
            ("server.drain_ms", self.server.drain_ms),
            ("auth.cache_ms", self.auth.cache_ms),
            ("stream.coalesce_ms", self.stream.coalesce_ms),
            ("stream.rotate_jitter_ms", self.stream.rotate_jitter_ms),
        ] {
            if value > DAY {
                return fail(key, "must be 0 to 86400000 milliseconds");
            }
        }
        for (key, value) in [
            ("server.max_connections", self.server.max_connections),
            ("database.max_connections", self.database.max_connections),
            ("database.flush_connections", self.database.flush_connections),
            ("stream.flush_bytes", self.stream.flush_bytes),
            ("stream.ring_bytes", self.stream.ring_bytes),
            ("stream.max_open_per_user", self.stream.max_open_per_user),
            ("stream.max_open_per_tenant", self.stream.max_open_per_tenant),
            ("stream.pending_bytes_per_run", self.stream.pending_bytes_per_run),
            ("stream.pending_bytes_total", self.stream.pending_bytes_total),
            ("runs.max_active_per_tenant", self.runs.max_active_per_tenant),
            ("runs.max_queued_per_tenant", self.runs.max_queued_per_tenant),
            ("llm.max_attempts", self.llm.max_attempts as usize),
        ] {
            if value == 0 {
                return fail(key, "must be at least 1");
            }
        }
        if self.server.host.is_empty() {
            return fail("server.host", "must not be empty");
        }
        if self.server.max_connections > 1_000_000 {
            return fail("server.max_connections", "must be 1 to 1000000");
        }
        if !(1024..=67_108_864).contains(&self.server.max_body_bytes) {
            return fail("server.max_body_bytes", "must be 1024 to 67108864 bytes");
        }
        if !(8192..=1_048_576).contains(&self.server.max_header_bytes) {
            return fail("server.max_header_bytes", "must be 8192 to 1048576 bytes");
        }
        let role = &self.database.role_prefix;
        let in_role = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if role.is_empty() || role.len() > 40 || !role.bytes().all(in_role) {
            return fail("database.role_prefix", "must be 1 to 40 lowercase letters, digits and underscores");
        }
        if !is_log_level(&self.log.level) {
            return fail(
                "log.level",
                "must be error, warn, info, debug, trace or off, or MODULE=LEVEL, with commas between",
            );
        }
        if !(0.0..=1.0).contains(&self.telemetry.trace_ratio) {
            return fail("telemetry.trace_ratio", "must be 0 to 1");
        }
        if self.telemetry.metrics_interval_ms > DAY {
            return fail("telemetry.metrics_interval_ms", "must be 0 to 86400000 milliseconds");
        }
        if let Some(endpoint) = &self.telemetry.otlp_endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return fail("telemetry.otlp_endpoint", "must be an http or https URL");
        }
        if self.telemetry.metrics_key.as_ref().is_some_and(|key| key.expose_secret().len() < 32) {
            return fail("telemetry.metrics_key", "must be 32 or more characters; `openssl rand -hex 32` makes one");
        }
        if self.auth.operator_key.as_ref().is_some_and(|key| !is_operator_key(key.expose_secret())) {
            let must = "must be hw_op_ and 26 or more visible characters; make one with \
                        `echo hw_op_$(openssl rand -base64 32 | tr '+/' '-_' | tr -d =)`, or leave it unset";
            return fail("auth.operator_key", must);
        }
        for (name, provider) in &self.providers {
            let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
            if name.is_empty() || !name.bytes().all(in_name) {
                return fail(&format!("providers.{name}"), "a name has only a-z, 0-9, _ and -");
            }
            if provider.base_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
            {
                return fail(&format!("providers.{name}.base_url"), "must be an http or https URL");
            }
        }
        Ok(())
    }
}

/// Whether this says what to log. A bare word has to be a level: a filter takes any other for a module's name, and then
/// logs nothing at all.
fn is_log_level(text: &str) -> bool {
    let level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let word = |part: &str| part.contains(['=', '[']) || level(part.trim());
    // A span's fields may have commas of their own.
    let words = text.contains('[') || text.split(',').all(word);
    words && tracing_subscriber::EnvFilter::builder().parse(text).is_ok()
}

/// Whether nobody guesses this key to the whole platform.
fn is_operator_key(key: &str) -> bool {
    key.starts_with("hw_op_") && key.len() >= 32 && key.bytes().all(|b| b.is_ascii_graphic())
}

fn openai_chat() -> Protocol {
    Protocol::OpenAiChat
}

/// Empty text is no text: that is how a variable is taken back where it cannot be unset.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(text(deserializer)?.map(SecretString::from))
}
