//! What commands need of the settings: the file and environment they come from, the master key, and the roles' logins.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use secrecy::ExposeSecret as _;

use super::myself;
use crate::config::{ConfigError, Settings};
use crate::keys::MasterKey;

/// Settings from a file and this process' environment.
pub(super) fn load(file: Option<&Path>) -> anyhow::Result<Settings> {
    load_with(file, &BTreeMap::new())
}

/// The same, where the environment is silent filled up with these.
pub(super) fn load_with(file: Option<&Path>, defaults: &BTreeMap<String, String>) -> anyhow::Result<Settings> {
    let mut environment = defaults.clone();
    // Not `vars()`, which panics over a variable of somebody else's that is no text.
    let texts =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    environment.extend(texts);
    Settings::load(file, environment.into_iter()).map_err(|error| match error {
        ConfigError::File { .. } => anyhow!("{error}; name a file of TOML with --config or HEADWATER_CONFIG"),
        ConfigError::Key { .. } | ConfigError::Variable { .. } => {
            anyhow!("{error}; config/default.toml explains every key")
        }
    })
}

/// The master key, which must be set.
pub(super) fn master_key(settings: &Settings) -> anyhow::Result<MasterKey> {
    let Some(key) = &settings.auth.master_key else {
        return Err(anyhow!(
            "HEADWATER_MASTER_KEY is not set; make one with `openssl rand -hex 32`, keep it safe (every replica needs \
             the same one), and set it; on a developer's machine `{} dev` makes its own",
            myself()
        ));
    };
    MasterKey::from_hex(key.expose_secret()).context("HEADWATER_MASTER_KEY cannot be used")
}

/// The password of the application role: that of DATABASE_APP_URL, else one that follows from the master key.
pub(super) fn app_password(settings: &Settings) -> anyhow::Result<String> {
    let given = settings.database.app_url.as_ref().and_then(|url| password_of(url.expose_secret()));
    given.map_or_else(|| Ok(master_key(settings)?.derive_app_password()), Ok)
}

/// The password in a URL.
fn password_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let password = percent_encoding::percent_decode_str(url.password()?).decode_utf8().ok()?;
    Some(password.into_owned())
}

/// There is no database to use.
pub(super) fn no_database() -> anyhow::Error {
    anyhow!(
        "DATABASE_URL is not set; set it to a PostgreSQL 15 or later (postgresql://USER:PASSWORD@HOST/DATABASE), or \
         run `{} dev`, which brings its own",
        myself()
    )
}

/// A database URL for people: without its password.
pub(super) fn shown(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut url) if url.password().is_some() => {
            let _ = url.set_password(Some("…"));
            url.to_string().replace("%E2%80%A6", "…")
        }
        Ok(_) => url.to_owned(),
        // `host=… password=…`, or nonsense with who knows what in it.
        Err(_) => "the database".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_fits_the_error() {
        let missing = load_with(Some(Path::new("/nonexistent/headwater.toml")), &BTreeMap::new());
        let error = missing.expect_err("refused").to_string();
        assert!(error.ends_with("--config or HEADWATER_CONFIG"), "{error}");
        let wrong = BTreeMap::from([("HEADWATER__LEASE__MS".to_owned(), "0".to_owned())]);
        let error = load_with(None, &wrong).expect_err("refused").to_string();
        assert!(error.ends_with("explains every key"), "{error}");
    }

    #[test]
    fn passwords() {
        assert_eq!(password_of("postgres://app:p%40ss@h/d").as_deref(), Some("p@ss"));
        assert_eq!(password_of("postgres://app@h/d"), None);
        assert_eq!(shown("postgres://app:secret@h:5432/d?x=1"), "postgres://app:…@h:5432/d?x=1");
        assert_eq!(shown("postgresql:///d?host=%2Frun&user=postgres"), "postgresql:///d?host=%2Frun&user=postgres");
        assert_eq!(shown("host=h password=secret"), "the database");
    }
}
