//! A proxy that cuts connections, as those on the way to a real service do.
//!
//! Promises that what comes through is what was sent, up to where it is cut: there the client's connection is closed, in the middle of whatever
//! it is. Knows nothing of HTTP, so it cuts heads and chunks as well as bodies.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// After how many bytes of answers the nth connection (from 0) is cut; `None`: it is not.
type When = dyn Fn(usize) -> Option<usize> + Send + Sync;

/// See the [module](self). Ends when dropped.
#[derive(Debug)]
pub struct Cutter {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    /// A proxy before the server of this URL (`http://HOST:PORT`).
    ///
    /// # Errors
    /// Whatever keeps it from listening.
    pub fn start(url: &str, when: impl Fn(usize) -> Option<usize> + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (addr, over, cuts) =
            (listener.local_addr()?, Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let (when, stop, count): (Arc<When>, _, _) = (Arc::new(when), over.clone(), cuts.clone());
        std::thread::spawn(move || {
            for (nth, client) in listener.incoming().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else { continue };
                let (limit, count) = (when(nth), count.clone());
                let _ = relay(client, server, limit, count);
            }
        });
        Ok(Self { addr, over, cuts })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then ends.
        TcpStream::connect(self.addr).ok();
    }
}

/// Two threads for one connection.
fn relay(mut client: TcpStream, server: TcpStream, limit: Option<usize>, cuts: Arc<AtomicUsize>) -> io::Result<()> {
    let (mut asking, mut to_server, mut answering) = (client.try_clone()?, server.try_clone()?, server);
    std::thread::spawn(move || {
        let _ = io::copy(&mut asking, &mut to_server);
        to_server.shutdown(Shutdown::Write).ok();
    });
    std::thread::spawn(move || {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = answering.read(&mut buffer) {
            let kept = read.min(left);
            if client.write_all(&buffer[..kept]).is_err() {
                break;
            }
            left -= kept;
            if left == 0 {
                cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
        client.shutdown(Shutdown::Both).ok();
        answering.shutdown(Shutdown::Both).ok();
    });
    Ok(())
}
