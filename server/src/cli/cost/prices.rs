//! What hosts take: read from `config/hosting.toml`, or a file like it.

use anyhow::Context as _;
use serde::Deserialize;

/// All hosts, in the order of the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prices {
    /// The hosts.
    pub(super) host: Vec<Host>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Host {
    /// Its name.
    pub(super) name: String,
    /// The month in which this was read.
    pub(super) read: String,
    /// Where.
    pub(super) source: String,
    /// What it takes.
    #[serde(flatten)]
    pub(super) tariff: Tariff,
}

/// What a host takes, in dollars.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Tariff {
    /// For what is used.
    Metered {
        /// For a processor, each second.
        vcpu_second: f64,
        /// For a GB of memory, each second.
        gb_second: f64,
        /// At least, each month.
        #[serde(default)]
        minimum: f64,
        /// For a GB that goes out.
        #[serde(default)]
        egress_gb: f64,
        /// Whether what sends nothing is put to sleep, and costs nothing then.
        #[serde(default)]
        sleeps: bool,
        /// Hours of a month where the study counted others.
        #[serde(default)]
        study_hours: Option<f64>,
    },
    /// For machines.
    Nodes {
        /// Which machine.
        node: String,
        /// For one, each month.
        node_price: f64,
        /// Its memory.
        node_gb: f64,
        /// What it may use of processors without end.
        node_vcpu: f64,
        /// Which one an agent of its own would have.
        #[serde(default)]
        per_agent: Option<String>,
        /// For that one, each month.
        #[serde(default)]
        per_agent_price: Option<f64>,
    },
    /// For requests.
    Requests {
        /// In any case, each month.
        base: f64,
        /// For a million requests.
        per_million_requests: f64,
        /// So many millions are within the base.
        free_million_requests: f64,
        /// For a million milliseconds of a processor.
        per_million_cpu_ms: f64,
        /// So many millions are within the base.
        free_million_cpu_ms: f64,
    },
}

impl Prices {
    /// Those of this release.
    pub(super) fn builtin() -> Self {
        Self::parse(include_str!("../../../../config/hosting.toml")).expect("a test reads the file of this release")
    }

    /// Those of a file.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str(text).context("the prices cannot be read")
    }
}
