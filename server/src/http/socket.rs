//! Two things that only the operating system can set. The one place of this crate with `unsafe`.

use std::io;
use std::os::fd::AsRawFd;

/// Keeps the kernel from buffering more unsent bytes of a connection than this.
///
/// Two gains for streams: a client that does not read costs no megabytes of kernel memory, and a slow one is seen to
/// make progress in small steps. (Without it a socket is writable again only when a third of its buffer, which grows
/// to megabytes, has been read; a reader at 20 kB/s would look dead for longer than a stall may last.)
pub(super) fn limit_unsent(socket: &impl AsRawFd, bytes: u32) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        let size = libc::socklen_t::try_from(size_of::<u32>()).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the option's value is the u32 that
        // `size` says, which outlives the call.
        let result = unsafe {
            let value = std::ptr::from_ref(&bytes).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, value, size)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let _ = (socket, bytes);
    Ok(())
}

/// Lets the process open as many files as it may, and says how many. A socket is a file, and shells allow 1,024.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls take a pointer to a whole `rlimit` that lives until they return.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(limit.rlim_cur)
}
