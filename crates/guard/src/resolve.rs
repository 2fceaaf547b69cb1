//! Names, looked up and looked at.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use crate::address::{Networks, may_reach};
use crate::client::Refused;

/// The addresses of a name, once they are known.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names are looked up.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a name.
    fn lookup(&self, name: String) -> Addresses;
}

/// Lookups at a time, in each share. Each holds a thread for as long as a name server is slow, and a tenant may own one that is.
const LOOKUPS: usize = 16;

/// The operating system's way.
#[derive(Debug, Clone)]
pub struct SystemLookup(Arc<Semaphore>);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Addresses {
        let turns = self.0.clone();
        Box::pin(async move {
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            // The turn is the thread's: whoever asked may be gone long before the name server has answered.
            let look = move || {
                let found =
                    (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
                drop(turn);
                found
            };
            tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
        })
    }
}

/// What reqwest asks whenever it connects: only addresses that may be reached come back.
pub(crate) struct Guarded {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) allowed: Networks,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookup.lookup(name.as_str().to_owned());
        let allowed = self.allowed.clone();
        Box::pin(async move {
            let found = found.await?;
            let good: Vec<SocketAddr> = found
                .iter()
                .filter(|address| may_reach(**address, &allowed))
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            // A name with good and bad addresses is tried at the good ones alone.
            if good.is_empty() && !found.is_empty() {
                return Err(Refused::Address.into());
            }
            let addresses: Addrs = Box::new(good.into_iter());
            Ok(addresses)
        })
    }
}
