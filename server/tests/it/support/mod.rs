//! What all tests here work with: one server process on a database of its own, a scripted model, and clients.
//!
//! Promises that a test which shares the server has a tenant of its own, so that tests run side by side. Servers that
//! are killed, or configured in another way, are a test's own ([`Site::start`]).

pub(crate) mod api;
pub(crate) mod mcp;
pub(crate) mod model;
pub(crate) mod sse;
pub(crate) mod tenant;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use headwater_testkit::{Database, ServerProcess};
use tokio::sync::OnceCell;

pub(crate) use api::{Answer, Api};
pub(crate) use model::{Lane, models};
pub(crate) use tenant::{Tenant, User};

/// The operator's key on every server here.
pub(crate) const OPERATOR_KEY: &str = "hw_op_only-for-tests-and-nothing-else";
/// The master key of every server here.
pub(crate) const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A database and how to reach a server on it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Of the server.
    pub(crate) url: String,
    /// Of the server and this test alone.
    pub(crate) database: Database,
}

/// A site whose server belongs to one test.
pub(crate) struct OwnSite {
    /// How to reach it.
    pub(crate) site: Site,
    /// Its process.
    pub(crate) process: ServerProcess,
}

impl std::ops::Deref for OwnSite {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

/// The settings of a test's server, the dev profile included: no caps that a busy machine could run into.
fn environment(database: &Database, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let model = models().base_url();
    let url = database.pooled_url().unwrap_or_else(|| database.admin_url.clone());
    let all = [
        ("DATABASE_URL", url.as_str()),
        ("DATABASE_DIRECT_URL", database.admin_url.as_str()),
        ("HEADWATER_MASTER_KEY", MASTER_KEY),
        ("HEADWATER_OPERATOR_KEY", OPERATOR_KEY),
        ("PORT", "0"),
        ("HEADWATER__PROFILE", "dev"),
        ("HEADWATER__SERVER__HOST", "127.0.0.1"),
        ("HEADWATER__LOG__LEVEL", "warn"),
        ("HEADWATER__DATABASE__MAX_CONNECTIONS", "8"),
        ("HEADWATER__DATABASE__FLUSH_CONNECTIONS", "2"),
        ("HEADWATER__AUTH__CACHE_MS", "200"),
        ("HEADWATER__PROVIDERS__FAKE__PROTOCOL", "openai-chat"),
        ("HEADWATER__PROVIDERS__FAKE__BASE_URL", &model),
        // The same model server under a name that the price list knows.
        ("HEADWATER__PROVIDERS__OPENAI__PROTOCOL", "openai-chat"),
        ("HEADWATER__PROVIDERS__OPENAI__BASE_URL", &model),
    ];
    let all = all.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut all: BTreeMap<String, String> = all.collect();
    // Given as empty: not given.
    all.retain(|_, value| !value.is_empty());
    all
}

/// Starts a server on this database.
pub(crate) fn serve(database: &Database, more: &[(&str, &str)]) -> ServerProcess {
    let binary = Path::new(env!("CARGO_BIN_EXE_headwater"));
    ServerProcess::start(binary, &["serve"], &environment(database, more))
}

impl Site {
    /// A server of this test's own, with these variables besides.
    pub(crate) async fn start(more: &[(&str, &str)]) -> OwnSite {
        let database = Database::fresh().await;
        let process = serve(&database, more);
        OwnSite { site: Site { url: process.url.clone(), database }, process }
    }

    /// The variables of a server on this database, with these besides.
    pub(crate) fn environment(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        environment(&self.database, more)
    }

    /// The server that tests share.
    pub(crate) async fn shared() -> Site {
        static SHARED: OnceCell<Site> = OnceCell::const_new();
        let start = || async {
            let OwnSite { site, process } = Site::start(&[]).await;
            end_with_us(process);
            site
        };
        SHARED.get_or_init(start).await.clone()
    }

    /// A client without a credential.
    pub(crate) fn anybody(&self) -> Api {
        Api::new(&self.url)
    }

    /// The operator.
    pub(crate) fn operator(&self) -> Api {
        self.anybody().bearer(OPERATOR_KEY)
    }

    /// A new tenant with a key.
    pub(crate) async fn tenant(&self) -> Tenant {
        Tenant::new(self).await
    }
}

/// Ends a process when this one ends: statics are never dropped.
fn end_with_us(process: ServerProcess) {
    static PROCESSES: Mutex<Vec<ServerProcess>> = Mutex::new(Vec::new());
    extern "C" fn end() {
        if let Ok(mut processes) = PROCESSES.lock() {
            processes.clear();
        }
    }
    PROCESSES.lock().expect("nobody panics with it").push(process);
    // SAFETY: `end` is a plain function that does not unwind; the process ends through `exit`, which calls it.
    let registered = unsafe { libc::atexit(end) };
    assert_eq!(registered, 0, "the end of the shared server is arranged");
}

/// Asks until the answer is there. For what another process does in its own time; how long it takes is not judged.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(std::time::Instant::now() < patience, "waited in vain: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A name that nothing else in this run of the tests has.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::now_v7().simple())
}
