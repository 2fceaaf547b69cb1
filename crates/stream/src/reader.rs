//! Readers: a cursor and a socket, no queue.
//!
//! A reader takes what its cursor has not seen from the ring, or in pages from the table when the ring does not reach
//! back so far or another process writes the run. What it hands on goes out in pieces, each when the socket has room; what
//! a client leaves lying for longer than a moment is let go of and read again once there is room, so that one who has
//! stopped costs a cursor, a socket and one piece.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _};
use headwater_protocol::event::{Audience, Visibility};
use headwater_protocol::{RunId, Scope, Timestamp, UserId};
use headwater_store::StoreError;
use headwater_store::scoped::{EventRange, LogPage};
use tokio::time::Instant;

use crate::channel::Read;
use crate::frame::{self, Closing, RETRY_MS};
use crate::manager::{ChannelRef, Inner, MessageStreamManager};
use crate::presence::{self, Present};
use crate::quota::OpenStream;
use crate::remote::RemoteReader;
use crate::view;

/// Segments in one page of the table: about 256 KiB once a run is packed, far less before.
const PAGE_SEGMENTS: i64 = 64;
/// The same of a reader's first page, and of the one after it was let go of. Each page that is taken doubles the next.
const FIRST_PAGE_SEGMENTS: i64 = 8;
/// What the socket is given at a time, where events are not larger themselves.
const PIECE_BYTES: usize = 2048;
/// How long the rest of a block is held for a socket without room. A slow client makes room many times a second; one that
/// has not for so long has probably stopped.
const HOLD: Duration = Duration::from_secs(1);

/// After how long a reader of a run that waits for somebody comes back, at least and at most.
const SUSPENDED_RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Strictly after this event.
    After(u64),
    /// With what comes next.
    Now,
}

/// Whether a credential is still good; asked now and then while a stream is open.
pub type Recheck = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Whether the socket beneath a stream takes more. Ready when it does; else it wakes the one who asked when it may.
pub type Room = Arc<dyn Fn(&mut Context<'_>) -> Poll<()> + Send + Sync>;

/// Who reads what.
#[derive(Clone)]
pub struct ReaderParams {
    /// Who is asking.
    pub scope: Scope,
    /// Whether to show what end users see, or everything.
    pub as_user: bool,
    /// From where.
    pub cursor: Cursor,
    /// When the credential stops working.
    pub expires_at: Option<Timestamp>,
    /// Whether the client comes back by itself when the stream is rotated.
    pub rotates: bool,
    /// Whether the stream ends where the run waits for somebody, wherever the service may not go quiet too: for who has all that there
    /// is then. It counts as being there.
    pub ends_suspended: bool,
    /// Whether it reads what there is and leaves: it does not count as being there, and nothing is ended because it has gone.
    pub passes_by: bool,
    /// Asked now and then.
    pub recheck: Option<Recheck>,
    /// Asked before more is read. Without it there always is.
    pub room: Option<Room>,
}

/// What came of opening a stream.
pub enum Opened {
    /// Blocks of whole frames.
    Stream {
        /// The blocks.
        blocks: BoxStream<'static, Bytes>,
        /// Whether deltas of this log have been dropped.
        compacted: bool,
    },
    /// The run is over and the reader has seen all of it.
    NothingLeft,
    /// There is no such run for this scope.
    NotFound,
}

/// Why a stream is not opened, told inside a 200 to an `EventSource` and by status to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// So many streams are open already.
    TooManyStreams(usize),
}

/// How an audience is made once the run's visibility is known.
pub fn audience(as_user: bool, visibility: Visibility) -> Audience {
    if as_user { Audience::User(visibility) } else { Audience::Tenant }
}

impl MessageStreamManager {
    /// Opens a stream of a run's events.
    pub async fn open(&self, run: RunId, params: ReaderParams) -> Result<Result<Opened, Trouble>, StoreError> {
        let storage = self.inner.store.scoped(params.scope);
        // Registered before the first look, so that what is committed in between is not missed.
        let channel = ChannelRef::new(&self.inner, run);
        let after = match params.cursor {
            Cursor::After(seq) => seq,
            Cursor::Now => i64::MAX as u64,
        };
        let Some(page) = storage.events_read(run, EventRange { after, segments: FIRST_PAGE_SEGMENTS }).await? else {
            return Ok(Ok(Opened::NotFound));
        };
        let owner = page.user;
        let after = match params.cursor {
            Cursor::After(seq) => seq,
            Cursor::Now => page.tail,
        };
        if page.status.is_terminal() && after == page.tail {
            return Ok(Ok(Opened::NothingLeft));
        }
        let open = match self.inner.quota.open(params.scope.tenant, owner) {
            Ok(open) => open,
            Err(cap) => return Ok(Err(Trouble::TooManyStreams(cap))),
        };
        let compacted = page.earliest > 1;
        let audience = audience(params.as_user, page.visibility);
        let mut reader = Reader::new(&self.inner, channel, open, run, owner, params, audience, after);
        if !page.status.is_terminal() {
            reader.be_present(presence::grace(page.on_disconnect, page.disconnect_grace)).await?;
        }
        let trimmed = after > 0 && after + 1 < page.earliest;
        let first = if after > page.tail || trimmed {
            let reason = if trimmed { "trimmed" } else { "cursor_ahead" };
            let Some(snapshot) = storage.run_snapshot(run).await? else { return Ok(Ok(Opened::NotFound)) };
            let as_of_seq = snapshot.run.as_of_seq;
            reader.after = as_of_seq;
            reader.terminal_seen = snapshot.run.status.is_terminal();
            First::Frame(frame::reset(run, reason, as_of_seq, &view::snapshot_for(snapshot, audience)))
        } else if page.last > after && !page.lines.is_empty() {
            // Of an empty page, as read from "now", `last` is no position.
            First::Page(page)
        } else {
            First::Nothing
        };
        Ok(Ok(Opened::Stream { blocks: reader.blocks(first).boxed(), compacted }))
    }

    /// Streams a run that this process has just created, from its beginning: its creation was the authorisation. `grace`:
    /// how long it waits for readers, where it is to end without.
    pub async fn open_created(
        &self,
        run: RunId,
        owner: UserId,
        params: ReaderParams,
        visibility: Visibility,
        grace: Option<Duration>,
    ) -> Result<Result<Opened, Trouble>, StoreError> {
        let channel = ChannelRef::new(&self.inner, run);
        let open = match self.inner.quota.open(params.scope.tenant, owner) {
            Ok(open) => open,
            Err(cap) => return Ok(Err(Trouble::TooManyStreams(cap))),
        };
        let audience = audience(params.as_user, visibility);
        let mut reader = Reader::new(&self.inner, channel, open, run, owner, params, audience, 0);
        reader.be_present(grace).await?;
        Ok(Ok(Opened::Stream { blocks: reader.blocks(First::Nothing).boxed(), compacted: false }))
    }
}

/// What a stream begins with.
enum First {
    Nothing,
    Frame(String),
    Page(LogPage),
}

struct Reader {
    manager: Arc<Inner>,
    channel: ChannelRef,
    run: RunId,
    owner: UserId,
    params: ReaderParams,
    audience: Audience,
    after: u64,
    /// The log has ended and all of it was sent.
    terminal_seen: bool,
    caught_up: bool,
    rotate_at: Instant,
    checked_at: Instant,
    /// While another process writes the run.
    remote: Option<RemoteReader>,
    /// Segments in the last page of the table.
    page_segments: i64,
    /// Where the run is to end when nobody reads it.
    present: Option<Present>,
    _open: OpenStream,
}

/// What to do next.
enum Next {
    Send(Bytes),
    /// The last block.
    SendAndClose(Bytes),
    /// The database is away or there is nothing yet.
    Wait,
}

impl Reader {
    #[expect(clippy::too_many_arguments, reason = "called twice, right above")]
    fn new(
        manager: &Arc<Inner>,
        channel: ChannelRef,
        open: OpenStream,
        run: RunId,
        owner: UserId,
        params: ReaderParams,
        audience: Audience,
        after: u64,
    ) -> Self {
        let now = Instant::now();
        let jitter = manager.options.rotate_jitter.as_millis() as u64;
        // The run's own random bits spread streams that were opened together.
        let spread = if jitter == 0 { 0 } else { (run.uuid().as_u128() as u64) % (2 * jitter) };
        let rotate = manager.options.rotate + Duration::from_millis(spread);
        let rotate = rotate.saturating_sub(manager.options.rotate_jitter);
        Self {
            manager: manager.clone(),
            channel,
            run,
            owner,
            params,
            audience,
            after,
            terminal_seen: false,
            caught_up: false,
            rotate_at: now + rotate,
            checked_at: now,
            remote: None,
            page_segments: FIRST_PAGE_SEGMENTS,
            present: None,
            _open: open,
        }
    }

    /// Counts as somebody who reads the run, where that matters: before anything is sent.
    async fn be_present(&mut self, grace: Option<Duration>) -> Result<(), StoreError> {
        if self.params.passes_by {
            return Ok(());
        }
        let Some((grace, register)) = grace.zip(self.manager.register.get()) else { return Ok(()) };
        let scope = Scope { tenant: self.params.scope.tenant, user: Some(self.owner) };
        self.present = Some(register.note(&self.manager.store, scope, self.run, grace).await?);
        Ok(())
    }

    fn blocks(mut self, first: First) -> impl futures_util::Stream<Item = Bytes> + Send {
        async_stream::stream! {
            // The browser's waiting time rides in the same block as the first frame.
            let mut prefix = Some(format!("retry: {RETRY_MS}\n"));
            let mut with_prefix = move |bytes: Bytes| match prefix.take() {
                Some(prefix) => [prefix.as_bytes(), &bytes].concat().into(),
                None => bytes,
            };
            let mut next = match first {
                First::Nothing => Next::Wait,
                First::Frame(frame) => Next::Send(frame.into()),
                First::Page(page) => self.page(page),
            };
            let mut quiet_since = Instant::now();
            loop {
                let (mut rest, last) = match next {
                    Next::Send(block) => (block, false),
                    Next::SendAndClose(block) => (block, true),
                    Next::Wait => (Bytes::new(), false),
                };
                // Most are small, and go out as they are.
                let cut = rest.len() > PIECE_BYTES;
                while !rest.is_empty() {
                    let piece = if cut { frame::piece(&mut rest, PIECE_BYTES) } else { std::mem::take(&mut rest) };
                    let seen = frame::last_seq(&piece);
                    yield with_prefix(piece);
                    quiet_since = Instant::now();
                    if !rest.is_empty() && !self.let_it_go_out().await {
                        self.let_go(seen);
                        break;
                    }
                    if rest.is_empty() && last {
                        return;
                    }
                }
                drop(rest);
                self.room().await;
                // Made before looking, so that a change in between is not missed. Borrowed from its own handle, so
                // that the reader itself stays free.
                let channel = self.channel.shared();
                let changed = channel.changed();
                tokio::pin!(changed);
                changed.as_mut().enable();
                next = match self.must_close().await {
                    Some(closing) => Next::SendAndClose(closing),
                    None => self.next().await,
                };
                if !matches!(next, Next::Wait) {
                    continue;
                }
                let heartbeat = quiet_since + self.manager.options.heartbeat;
                let poll = Instant::now() + self.manager.options.remote_poll;
                let live = self.channel.is_live();
                if live {
                    self.remote = None;
                } else if self.remote.is_none() {
                    let tenant = self.params.scope.tenant;
                    self.remote = Some(RemoteReader::new(&self.manager, tenant, self.run, self.after));
                }
                let alone = !live && !self.manager.tailing.load(std::sync::atomic::Ordering::Relaxed);
                let until = self.wake_at(heartbeat, alone.then_some(poll));
                tokio::select! {
                    () = &mut changed => {}
                    () = tokio::time::sleep_until(until) => {}
                    () = self.manager.drain.cancelled() => {}
                }
                if Instant::now() >= heartbeat {
                    yield with_prefix(frame::HEARTBEAT);
                    quiet_since = Instant::now();
                }
            }
        }
    }

    /// When to look again if nothing happens.
    fn wake_at(&self, heartbeat: Instant, poll: Option<Instant>) -> Instant {
        let mut until = heartbeat.min(poll.unwrap_or(heartbeat));
        if self.params.rotates {
            until = until.min(self.rotate_at);
        }
        if self.params.recheck.is_some() {
            until = until.min(self.checked_at + self.manager.options.recheck);
        }
        if let Some(expires_at) = self.params.expires_at {
            let left = expires_at.plus_ms(60_000).ms() - Timestamp::now().ms();
            until = until.min(Instant::now() + Duration::from_millis(left.max(0) as u64));
        }
        until
    }

    /// The last block, when the stream has to end between two events.
    async fn must_close(&mut self) -> Option<Bytes> {
        if self.manager.drain.is_cancelled() {
            self.sent_away();
            // Spread over two seconds, so that a restart is not met by everybody at once.
            let retry = 250 + (self.run.uuid().as_u128() as u64) % 1750;
            return Some(frame::closing(self.run, Closing::Drain, Some(retry)).into());
        }
        if self.params.expires_at.is_some_and(|at| at.plus_ms(60_000) <= Timestamp::now()) {
            return Some(frame::closing(self.run, Closing::Auth, Some(RETRY_MS)).into());
        }
        if self.checked_at.elapsed() >= self.manager.options.recheck
            && let Some(recheck) = self.params.recheck.clone()
        {
            self.checked_at = Instant::now();
            if !recheck().await {
                return Some(frame::closing(self.run, Closing::Auth, Some(RETRY_MS)).into());
            }
        }
        if self.params.rotates && Instant::now() >= self.rotate_at {
            self.sent_away();
            return Some(frame::closing(self.run, Closing::MaxAge, Some(100)).into());
        }
        None
    }

    fn sent_away(&mut self) {
        if let Some(present) = &mut self.present {
            present.send_away();
        }
    }

    /// Until the socket has room.
    async fn room(&self) {
        if let Some(room) = &self.params.room {
            std::future::poll_fn(|cx| room(cx)).await;
        }
    }

    /// Lets the socket take what it was just given. Whether it then has room, soon.
    async fn let_it_go_out(&self) -> bool {
        if self.params.room.is_none() {
            return true;
        }
        // The connection writes when its answer has nothing more to give at the moment, and only then is room known.
        tokio::task::yield_now().await;
        tokio::time::timeout(HOLD, self.room()).await.is_ok()
    }

    /// Forgets what was read and not handed on.
    fn let_go(&mut self, seen: Option<u64>) {
        // A block of several pieces holds events, and each piece at least one.
        self.after = seen.unwrap_or(self.after);
        self.terminal_seen = false;
        self.page_segments = FIRST_PAGE_SEGMENTS / 2;
    }

    async fn next(&mut self) -> Next {
        if self.terminal_seen {
            return Next::SendAndClose(frame::closing(self.run, Closing::Done, None).into());
        }
        match self.channel.read(self.after, self.audience) {
            Read::Frames { frames, last, ended } => {
                self.after = last;
                if ended { self.finish(frames) } else { Next::Send(frames) }
            }
            Read::AtTail { tail } => self.at_tail(tail, None),
            // Boxed: a stream that follows the ring takes no place for the other way.
            Read::Elsewhere => Box::pin(self.read_table()).await,
        }
    }

    async fn read_table(&mut self) -> Next {
        let storage = self.manager.store.scoped(self.params.scope);
        // Asked again, so the last one was taken.
        self.page_segments = (self.page_segments * 2).min(PAGE_SEGMENTS);
        let range = EventRange { after: self.after, segments: self.page_segments };
        match storage.events_read(self.run, range).await {
            Ok(Some(page)) => self.page(page),
            // Deleted meanwhile: nothing more will ever come.
            Ok(None) => Next::SendAndClose(frame::closing(self.run, Closing::Done, None).into()),
            Err(error) => {
                tracing::warn!(%error, run.id = %self.run, "a reader could not read the log; it tries again");
                Next::Wait
            }
        }
    }

    fn page(&mut self, page: LogPage) -> Next {
        if page.last == self.after {
            if page.status.is_terminal() && page.tail <= self.after {
                self.terminal_seen = true;
                return Next::SendAndClose(frame::closing(self.run, Closing::Done, None).into());
            }
            return self.at_tail(page.tail, page.waits);
        }
        let tenant = self.params.scope.tenant;
        if !self.manager.quota.replayed(tenant, self.owner, page.lines.len()) {
            return Next::SendAndClose(frame::overloaded("too many bytes replayed in a minute"));
        }
        self.after = page.last;
        let frames = frame::frames(&page.lines, self.audience);
        if page.status.is_terminal() && page.last == page.tail { self.finish(frames) } else { Next::Send(frames) }
    }

    fn at_tail(&mut self, tail: u64, waits: Option<Duration>) -> Next {
        let is_new = !std::mem::replace(&mut self.caught_up, true);
        let caught_up = if is_new { frame::caught_up(self.run, tail) } else { String::new() };
        if let Some(waited) = waits.filter(|_| self.manager.options.ends_suspended || self.params.ends_suspended) {
            // For as long again as it has waited, or until it begins: a tab that is left open learns of what somebody else decides, and keeps
            // nobody awake.
            let retry = waited.clamp(SUSPENDED_RETRY.0, SUSPENDED_RETRY.1);
            if let Some(present) = &mut self.present {
                present.excuse();
            }
            let closing = frame::closing(self.run, Closing::Suspended, Some(retry.as_millis() as u64));
            return Next::SendAndClose(format!("{caught_up}{closing}").into());
        }
        if is_new { Next::Send(caught_up.into()) } else { Next::Wait }
    }

    /// The terminal event and the end of the stream, in one write.
    fn finish(&mut self, frames: Bytes) -> Next {
        self.terminal_seen = true;
        let closing = frame::closing(self.run, Closing::Done, None);
        Next::SendAndClose([&frames[..], closing.as_bytes()].concat().into())
    }
}
