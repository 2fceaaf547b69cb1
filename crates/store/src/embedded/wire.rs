//! Asking a server whether it is ready, in the few bytes of its protocol that takes.
//!
//! A whole log-in, not just a connection: the socket exists before the server lets anybody in. The session is
//! closed before the answer is given.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It takes work.
    Ready,
    /// It does not yet, or is not there.
    NotYet(String),
    /// It will not have us, now or later.
    Refused(String),
}

/// "Starting up, shutting down or in recovery".
const CANNOT_CONNECT_NOW: &str = "57P03";
/// Somebody dropped database `postgres`: the server that says so is up.
const NO_SUCH_DATABASE: &str = "3D000";

/// Logs in as `postgres`, and out again.
pub(super) fn ask(socket: &Path) -> Answer {
    match try_to_ask(socket) {
        Ok(answer) => answer,
        Err(error) => Answer::NotYet(error.to_string()),
    }
}

fn try_to_ask(socket: &Path) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&startup("postgres", "postgres"))?;
    loop {
        let (kind, body) = read_message(&mut stream)?;
        match kind {
            b'R' if body.starts_with(&[0, 0, 0, 0]) => {}
            b'R' => return Ok(Answer::Refused("it asks for a password".to_owned())),
            b'Z' => {
                stream.write_all(&[b'X', 0, 0, 0, 4])?;
                return Ok(Answer::Ready);
            }
            b'E' => {
                let said = error_field(&body, b'M').unwrap_or_default();
                return Ok(match error_field(&body, b'C').as_deref() {
                    Some(CANNOT_CONNECT_NOW) => Answer::NotYet(said),
                    Some(NO_SUCH_DATABASE) => Answer::Ready,
                    Some(_) | None => Answer::Refused(said),
                });
            }
            // Parameters, cancellation key, notices.
            _ => {}
        }
    }
}

/// The first packet of protocol 3.0.
pub(super) fn startup(user: &str, database: &str) -> Vec<u8> {
    let body = format!("user\0{user}\0database\0{database}\0\0");
    let length = u32::try_from(8 + body.len()).expect("names are short");
    [&length.to_be_bytes()[..], &(3u32 << 16).to_be_bytes(), body.as_bytes()].concat()
}

/// The next message: its kind and its body.
pub(super) fn read_message(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length);
    // Nothing that we ask for is long: a bigger number means that this is not PostgreSQL.
    if !(4..=1 << 20).contains(&length) {
        return Err(io::Error::other("not an answer of PostgreSQL"));
    }
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

/// A field of an error message, by its letter.
pub(super) fn error_field(body: &[u8], letter: u8) -> Option<String> {
    body.split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&letter))
        .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
}
