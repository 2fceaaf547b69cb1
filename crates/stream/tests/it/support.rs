//! Replicas, runs and readers: as many processes as a test needs, on one database.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use headwater_protocol::api::{Agent, AgentConfig, TenantSettings};
use headwater_protocol::event::{EventBody, FinishReason, Role, RunResult, Visibility, render, seq_of};
use headwater_protocol::message::Metadata;
use headwater_protocol::{MessageId, Money, ReplicaId, RunId, Scope, TenantId, ThreadId, Timestamp, Usage, UserId};
use headwater_store::commit::{LeaseToken, RunWrite, Writes, segment_header};
use headwater_store::create::{Created, NewRun, NewRunParams};
use headwater_store::pool::Once;
use headwater_store::scoped::EventRange;
use headwater_store::{Committer, Creator, Store};
use headwater_stream::{
    Cursor, LocalWakeBus, MessageStreamManager, Opened, ReaderParams, RunIdentity, RunWriter, StreamOptions, Trouble,
};
use headwater_testkit::Database;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A database with a tenant, two users and an agent.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    pub(crate) other: UserId,
    agent: Agent,
}

/// One process: its committer, its rings, its readers.
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) streams: MessageStreamManager,
    pub(crate) drain: CancellationToken,
    creator: Creator,
    _stop: DropGuard,
}

/// A run and what it was created with.
pub(crate) struct Begun {
    pub(crate) identity: RunIdentity,
    pub(crate) thread: ThreadId,
    pub(crate) lines: String,
}

impl Begun {
    pub(crate) fn run(&self) -> RunId {
        self.identity.run
    }
}

/// Options under which nothing waits for long.
pub(crate) fn quick() -> StreamOptions {
    StreamOptions { coalesce: Duration::ZERO, remote_poll: Duration::from_millis(2), ..StreamOptions::default() }
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = Database::fresh().await;
        let store = database.store();
        let unscoped = store.unscoped("a test prepares its database");
        unscoped.ensure_partitions().await.expect("makes partitions");
        let (tenant, at) = (TenantId::new(), Timestamp::now());
        let settings: TenantSettings = serde_json::from_value(json!({"name": "acme"})).expect("settings");
        unscoped.tenant_create(tenant, &settings, at, None).await.expect("makes a tenant");
        let storage = store.scoped(Scope { tenant, user: None });
        let user = storage.user_ensure("first", at).await.expect("makes a user");
        let other = storage.user_ensure("second", at).await.expect("makes another");
        let config: AgentConfig = serde_json::from_value(json!({"model": "scripted/echo"})).expect("a configuration");
        let made =
            storage.agent_create("assistant", &config, &Metadata::new(), at, None).await.expect("makes an agent");
        let Once::Done(agent) = made else { panic!("nothing was asked before") };
        Self { database, store, tenant, user, other, agent }
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope { tenant: self.tenant, user: Some(self.user) }
    }

    /// A process that lives for the length of a test.
    pub(crate) async fn replica(&self, options: StreamOptions) -> Replica {
        // No wrapper for a bare UUID is at hand here; any id's will do.
        let id = ReplicaId(RunId::new().uuid());
        self.store.unscoped("a test replica").replica_register(id, 3_600_000).await.expect("registers");
        let (stop, drain, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let committer = Committer::start(self.store.clone(), id, 2, &tasks, &stop);
        let creator = Creator::start(self.store.clone(), id, 1, &tasks, &stop);
        let bus = Arc::new(LocalWakeBus);
        let streams = MessageStreamManager::new(self.store.clone(), committer, options, bus, drain.clone());
        Replica { id, streams, drain, creator, _stop: stop.drop_guard() }
    }

    /// A run that this replica owns and has begun; its first three events are in the table.
    pub(crate) async fn run(&self, replica: &Replica) -> Begun {
        let (run, thread, message, token) = (RunId::new(), ThreadId::new(), MessageId::new(), LeaseToken::new());
        let (agent, at, model) = (&self.agent, Timestamp::now(), self.agent.config.model.clone());
        let events = [
            EventBody::RunQueued {
                thread,
                user: self.user,
                agent: agent.id,
                agent_version: 1,
                input_messages: vec![message],
                run_at: None,
                after_run: None,
            },
            EventBody::RunStarted { attempt: 1, agent: agent.id, agent_version: 1, model: model.clone() },
            EventBody::StepStarted { step: 1, model: model.clone(), input_messages: vec![] },
        ];
        let mut lines = Vec::new();
        for (seq, body) in (1..).zip(&events) {
            render(&mut lines, seq, at, run, body);
            lines.push(b'\n');
        }
        let lines = String::from_utf8(lines).expect("JSON is UTF-8");
        let header = segment_header(self.tenant, run);
        let params = NewRunParams {
            run_id: run.uuid(),
            thread_id: thread.uuid(),
            new_thread: true,
            thread_external_id: None,
            thread_metadata: json!({}),
            message_id: message.uuid(),
            content: json!([{"type": "text", "text": "hello"}]),
            agent_id: agent.id.uuid(),
            agent_version: 1,
            active_version: 1,
            agent_name: "assistant".into(),
            model,
            priority: json!("interactive"),
            on_conflict: json!("enqueue"),
            on_disconnect: json!("continue"),
            disconnect_grace_ms: 30_000,
            visibility: serde_json::to_value(Visibility::default()).expect("serialises"),
            overrides: json!({}),
            external_id: None,
            metadata: json!({}),
            token: token.0,
            start: true,
            started_to: 3,
            max_queued: 8,
            artifacts: Vec::new(),
            source: None,
            created_at: at.0,
            run_at: None,
            schedule_id: None,
            idempotency: None,
        };
        let first = format!("{header}{}", lines.split_inclusive('\n').next().expect("a line"));
        let until = std::time::Instant::now() + Duration::from_secs(600);
        let new =
            NewRun { tenant: self.tenant, user: self.user, params, first, started: format!("{header}{lines}"), until };
        let created = replica.creator.create(new).await.expect("the worker answers");
        assert_eq!(created, Created::Yes { ord: 1, after_run: None, running: true, gives_way: Vec::new() });
        Begun { identity: RunIdentity { tenant: self.tenant, user: self.user, run, token }, thread, lines }
    }

    /// The table's lines of a run, by number.
    pub(crate) async fn table(&self, run: RunId) -> Vec<(u64, String)> {
        let range = EventRange { after: 0, segments: 100_000 };
        let page = self.store.scoped(self.scope()).events_read(run, range).await.expect("reads").expect("is there");
        page.lines.lines().map(|line| (seq_of(line).expect("a number"), line.to_owned())).collect()
    }

    /// Who reads: the tenant, on behalf of its user.
    pub(crate) fn from(&self, cursor: Cursor) -> ReaderParams {
        ReaderParams {
            scope: self.scope(),
            as_user: false,
            cursor,
            expires_at: None,
            rotates: false,
            ends_suspended: false,
            passes_by: false,
            recheck: None,
            room: None,
        }
    }
}

impl Replica {
    /// The writer of a run that was begun here, whose first events readers may have.
    pub(crate) fn write(&self, begun: &Begun) -> RunWriter {
        let mut writer = self.streams.writer(begun.identity, 0);
        writer.publish_created(&begun.lines, 3);
        writer
    }

    pub(crate) async fn open(&self, run: RunId, params: ReaderParams) -> Blocks {
        match self.streams.open(run, params).await.expect("the database is there") {
            Ok(Opened::Stream { blocks, .. }) => Blocks { blocks },
            Ok(Opened::NothingLeft) => panic!("nothing left"),
            Ok(Opened::NotFound) => panic!("not found"),
            Err(Trouble::TooManyStreams(cap)) => panic!("more than {cap} streams"),
        }
    }

    /// What comes of opening, in a word.
    pub(crate) async fn answer(&self, run: RunId, params: ReaderParams) -> &'static str {
        match self.streams.open(run, params).await.expect("the database is there") {
            Ok(Opened::Stream { .. }) => "stream",
            Ok(Opened::NothingLeft) => "nothing left",
            Ok(Opened::NotFound) => "not found",
            Err(Trouble::TooManyStreams(_)) => "too many streams",
        }
    }
}

/// An open stream.
pub(crate) struct Blocks {
    pub(crate) blocks: BoxStream<'static, Bytes>,
}

impl Blocks {
    /// The next block, whole frames all of it; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let block =
            tokio::time::timeout(Duration::from_secs(60), self.blocks.next()).await.expect("a block, or the end")?;
        assert!(block.ends_with(b"\n\n"), "a block ends between two frames");
        Some(block)
    }

    /// The frames of the next block.
    pub(crate) async fn frames(&mut self) -> Vec<Frame> {
        frames(&self.next().await.expect("not the end"))
    }

    /// All frames up to and with the first control frame of this name.
    pub(crate) async fn until(&mut self, event: &str) -> Vec<Frame> {
        let mut all: Vec<Frame> = Vec::new();
        while all.iter().all(|frame| frame.event != event) {
            all.extend(self.frames().await);
        }
        all
    }

    /// All frames up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(block) = self.next().await {
            all.extend(frames(&block));
        }
        all
    }
}

/// One frame, as a client reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) retry: Option<u64>,
    pub(crate) comment: Option<String>,
}

impl Frame {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("data is JSON")
    }
}

/// Reads whole frames; what is not whole is not there.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let whole = bytes.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let text = std::str::from_utf8(&bytes[..whole]).expect("UTF-8");
    text.split_terminator("\n\n").map(frame).collect()
}

fn frame(text: &str) -> Frame {
    let mut frame = Frame::default();
    for line in text.lines() {
        let (name, value) = line.split_once(':').expect("a field");
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => frame.id = Some(value.parse().expect("a number")),
            "event" => value.clone_into(&mut frame.event),
            "data" => value.clone_into(&mut frame.data),
            "retry" => frame.retry = Some(value.parse().expect("a number")),
            "" => frame.comment = Some(value.to_owned()),
            other => panic!("no field of ours: {other}"),
        }
    }
    frame
}

/// The log's events among these frames: number and line.
pub(crate) fn events(frames: &[Frame]) -> Vec<(u64, String)> {
    let of_log = |frame: &&Frame| !frame.event.is_empty() && !frame.event.starts_with("stream.");
    frames.iter().filter(of_log).map(|frame| (frame.id.expect("its number"), frame.data.clone())).collect()
}

/// Names of events and control frames, for comparing.
pub(crate) fn names(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.event.as_str()).collect()
}

pub(crate) fn started(message: MessageId) -> EventBody {
    EventBody::MessageStarted { step: 1, message, role: Role::Assistant }
}

pub(crate) fn delta(message: MessageId, text: &str) -> EventBody {
    EventBody::MessageDelta { message, delta: text.into() }
}

/// Appends a delta of its own and waits until it is durable.
pub(crate) async fn say(writer: &mut RunWriter, message: MessageId, text: &str) {
    writer.hurry();
    writer.delta(delta(message, text));
    while writer.is_busy() {
        writer.progress().await.expect("the run is ours");
    }
}

/// The terminal event, with its state.
pub(crate) fn ending(thread: ThreadId, message: MessageId) -> (Vec<EventBody>, Writes) {
    let mut write = RunWrite::new(thread);
    write.status = Some("completed");
    write.finished_at = Some(Timestamp::now().0);
    let result = RunResult { message, text: "done".into(), json: None, finish_reason: FinishReason::Stop };
    let event = EventBody::RunCompleted { result, usage: Usage::default(), cost: Some(Money(7)) };
    (vec![event], Writes { run: Some(write), ..Writes::default() })
}

pub(crate) async fn finish(writer: &mut RunWriter, begun: &Begun) {
    let (events, writes) = ending(begun.thread, MessageId::new());
    writer.commit(events, writes).await.expect("the run is ours");
}
