//! A link that is cut after a random number of bytes, and the randomness for it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use headwater_testkit::Random;

use crate::sys;

/// The seed of a scenario: as given, else one of its own. Told, so that it can be given the next time.
pub(crate) fn seed(scenario: &str, given: Option<u64>) -> anyhow::Result<u64> {
    let seed = match given {
        Some(seed) => seed,
        None => u64::from_le_bytes(sys::random()?) >> 16,
    };
    eprintln!("{scenario}: --seed {seed}");
    Ok(seed)
}

/// Listens, passes everything on to a server, and cuts each connection after a random number of the server's bytes.
#[derive(Debug)]
pub(crate) struct Cutter {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Cutter {
    /// Starts one. Each connection lives for at most `longest` bytes.
    pub(crate) async fn start(server: SocketAddr, seed: u64, longest: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut random = Random::new(seed);
        #[expect(clippy::disallowed_methods, reason = "the handle is kept, and dropping the cutter ends the task")]
        let task = tokio::spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let bytes = random.up_to(longest);
                links.spawn(async move {
                    // However it ends, both sockets are closed.
                    let _ = link(client, server, bytes as usize).await;
                });
                while links.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn link(mut client: TcpStream, server: SocketAddr, mut budget: usize) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut up, mut down) = ([0; 2048], [0; 4096]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read? {
                0 => return Ok(()),
                read => server.write_all(&up[..read]).await?,
            },
            read = server.read(&mut down) => {
                let read = read?.min(budget);
                client.write_all(&down[..read]).await?;
                budget -= read;
                if read == 0 || budget == 0 {
                    return Ok(());
                }
            }
        }
    }
}
