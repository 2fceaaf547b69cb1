//! What can be looked at of a whole installation with the application's own login: roles, schema, the wall, owners of runs, money.
//!
//! Owns what is looked at, in which order, and what to do about each finding; `headwater doctor` and `GET /v1/doctor` tell it. Changes nothing
//! but for ending runs whose owner is gone, as every process does at its start.

use std::cmp::Ordering;
use std::time::Duration;

use headwater_protocol::api::{Finding, FindingLevel};
use headwater_protocol::{RunId, Timestamp};
use headwater_store::migrate::known_version;
use headwater_store::{Store, StoreError};
use headwater_vault::Vault;

/// How old a run may be whose money is added up.
const LOOKED_BACK: Duration = Duration::from_secs(7 * 24 * 3600);

/// What has to be known to look.
#[derive(Debug, Clone)]
pub(crate) struct Looks {
    /// What the roles' names begin with.
    pub(crate) role_prefix: String,
    /// Whether the database can be reached past a pooler.
    pub(crate) has_direct_url: bool,
}

/// How to call this program again: as it was called.
pub(crate) fn myself() -> &'static str {
    // cargo tells the programs it runs who it is.
    if std::env::var_os("CARGO").is_some() { "cargo run -q --" } else { "headwater" }
}

/// As it should be.
pub(crate) fn good(what: &str, words: impl Into<String>) -> Finding {
    Finding { level: FindingLevel::Ok, what: what.into(), words: words.into(), advice: None }
}

/// To know.
pub(crate) fn note(what: &str, words: impl Into<String>) -> Finding {
    Finding { level: FindingLevel::Note, what: what.into(), words: words.into(), advice: None }
}

/// To be mended, and how.
pub(crate) fn bad(what: &str, words: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { level: FindingLevel::Error, what: what.into(), words: words.into(), advice: Some(advice.into()) }
}

/// Looks at all of it.
///
/// # Errors
/// When the database goes away while it is looked at.
pub(crate) async fn installation(store: &Store, vault: &Vault, looks: &Looks) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    pooler(store, looks, &mut findings).await?;
    findings.push(match store.check_role().await? {
        Ok(()) => good("role", "the server logs in as one that owns nothing"),
        Err(reason) => bad("role", reason, "set DATABASE_APP_URL to the app role, or unset it"),
    });
    let (schema, is_there) = schema(store).await;
    findings.push(schema);
    if !is_there {
        return Ok(findings);
    }
    let broken = store.lint(&looks.role_prefix).await?;
    if broken.is_empty() {
        findings.push(good("wall", "every rule holds"));
    }
    let todo = "undo what was changed by hand in this database; tenants may not be apart until then";
    findings.extend(broken.into_iter().map(|broken| bad("wall", format!("{}: {}", broken.rule, broken.object), todo)));
    findings.push(match store.unscoped("the doctor looks at the whole installation").sweep().await? {
        0 => good("runs", "each has an owner, or is over"),
        count => bad(
            "runs",
            format!("{count} without a living owner"),
            "start a server on this database: it ends them at its start and again one lease time later",
        ),
    });
    findings.push(match vault.unreadable().await? {
        (0, 0) => good("secrets", "there are none"),
        (0, all) => good("secrets", format!("those of {all} tenants open")),
        (lost, all) => bad(
            "secrets",
            format!("those of {lost} of {all} tenants do not open: they were sealed under another key"),
            "set HEADWATER_MASTER_KEY, HEADWATER_SECRETS_KEY and HEADWATER_OLD_SECRETS_KEY to what they were then",
        ),
    });
    money(store, &mut findings).await?;
    Ok(findings)
}

/// What a pooler in between asks for.
async fn pooler(store: &Store, looks: &Looks, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    if !store.is_pooled() {
        return Ok(());
    }
    findings.push(match store.missing_settings().await? {
        None => good("pooler", "there is one; the role brings its own settings"),
        Some(statement) => {
            let todo = format!("run `{} migrate`, or else {statement}", myself());
            bad("pooler", "there is one, and the role does not bring its own settings", todo)
        }
    });
    if !looks.has_direct_url {
        let words = "without DATABASE_DIRECT_URL no migration can be run, and other processes' events are looked for once \
                     a second";
        findings.push(note("pooler", words));
    }
    Ok(())
}

/// Whether the schema is this release's; and whether it is there at all.
async fn schema(store: &Store) -> (Finding, bool) {
    let unscoped = store.unscoped("the doctor looks at the whole installation");
    let known = known_version();
    let migrate = format!("run `{} migrate`", myself());
    let version = match unscoped.schema_version().await {
        Ok(version) => version,
        Err(error) => return (bad("schema", format!("it is not there ({error})"), migrate), false),
    };
    let finding = match version.cmp(&known) {
        Ordering::Equal => good("schema", format!("version {version}")),
        Ordering::Less => bad("schema", format!("it is at version {version}, this release wants {known}"), migrate),
        Ordering::Greater if unscoped.schema_serves().await.is_ok_and(|oldest| oldest <= known) => {
            good("schema", format!("version {version}, of a newer release, which serves this one ({known}) too"))
        }
        Ordering::Greater => bad(
            "schema",
            format!("it is at version {version}, this release knows {known}"),
            "use the release that migrated it, or a later one",
        ),
    };
    (finding, true)
}

/// The ledger's lines, what runs say that they cost, and what budgets have set aside, are one another's sums.
async fn money(store: &Store, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    let since = Timestamp(jiff::Timestamp::now() - LOOKED_BACK);
    let differs = store.unscoped("the doctor adds up what was spent").money_differs(since, 20).await?;
    if differs.is_empty() {
        let words = "runs of the last week cost what the ledger says, and budgets set aside what is";
        findings.push(good("money", words));
    }
    for (tenant, what, object, recorded, told) in differs {
        let (what, records) = match what.as_str() {
            "run" => (format!("run {} of {tenant} says it cost {told}", RunId::from_uuid(object)), "the ledger"),
            _ => (format!("budget {object} of {tenant} has set aside {told}"), "the reservations"),
        };
        let words = format!("{what} nano-dollars, and {records} add up to {recorded}");
        let todo = "report this, with the run's events: amounts are written together, and cannot part";
        findings.push(bad("money", words, todo));
    }
    Ok(())
}
