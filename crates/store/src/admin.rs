//! The administrator's door: throw-away databases and raw statements. Behind a feature; for `migrate`, tests and the
//! load test, never on a request's path.

use tokio_postgres::Client;

use crate::{StoreError, migrate, pool};

/// A connection as the URL's own user, which may be a superuser.
pub struct Admin {
    client: Client,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Self { client: migrate::connect(url, None).await? })
    }

    /// Connects as somebody else.
    pub async fn connect_as(url: &str, user: &str, password: &str) -> Result<Self, StoreError> {
        Ok(Self { client: migrate::connect(url, Some(&(user.to_owned(), password.to_owned()))).await? })
    }

    /// Runs statements, separated by semicolons.
    pub async fn execute(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// The rows of a query as text, `None` for NULL.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        let messages = self.client.simple_query(sql).await?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// The first column of the first row.
    pub async fn value(&self, sql: &str) -> Result<Option<String>, StoreError> {
        Ok(self.rows(sql).await?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Makes a database, from a template if one is named; `false` when it exists.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<bool, StoreError> {
        let from = template.map(|template| format!(" TEMPLATE \"{template}\"")).unwrap_or_default();
        match self.client.batch_execute(&format!("CREATE DATABASE \"{name}\"{from}")).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::DUPLICATE_DATABASE) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The same URL with another database.
pub fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let authority_at = base.find("://").map_or(0, |at| at + 3);
    let path_at = base[authority_at..].find('/').map_or(base.len(), |at| authority_at + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &base[..path_at])
}

/// Where a URL leads, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name, an address or the directory of a socket.
    pub host: String,
    /// Also part of a socket's name.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// With which password; empty without one.
    pub password: String,
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is no URL of a Postgres.
    pub fn of(url: &str) -> Result<Self, StoreError> {
        let (config, _) = pool::config(url)?;
        let host = match config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().unwrap_or_default().to_owned(),
            password: password.unwrap_or_default(),
        })
    }
}

/// The same database and login by way of another host and port.
///
/// Panics when it is no URL of a Postgres.
pub fn with_host(url: &str, host: &str, port: u16) -> String {
    let (config, _) = pool::config(url).expect("a URL of a Postgres");
    let endpoint = Endpoint::of(url).expect("a URL of a Postgres");
    let database = config.get_dbname().unwrap_or("postgres");
    let (user, password) = (endpoint.user, endpoint.password);
    let password = if password.is_empty() { String::new() } else { format!("&password={password}") };
    format!("postgresql:///{database}?host={host}&port={port}&user={user}{password}")
}

#[cfg(test)]
mod tests {
    use super::{with_database, with_host};

    #[test]
    fn the_host_of_a_url_can_be_changed() {
        let new = "postgresql:///a?host=/y&port=6432&user=y";
        assert_eq!(with_host("postgresql:///a?host=/x&user=y", "/y", 6432), new);
        let new = "postgresql:///a?host=/y&port=1&user=u&password=p";
        assert_eq!(with_host("postgres://u:p@h:5/a", "/y", 1), new);
    }

    #[test]
    fn the_database_of_a_url_can_be_changed() {
        assert_eq!(with_database("postgresql:///a?host=/x&user=y", "b"), "postgresql:///b?host=/x&user=y");
        assert_eq!(with_database("postgres://u:p@h:5/a", "b"), "postgres://u:p@h:5/b");
        assert_eq!(with_database("postgres://h", "b"), "postgres://h/b");
    }
}
