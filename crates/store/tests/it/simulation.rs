//! A seeded simulation of leases and appends, against the functions themselves.
//!
//! A few replicas and runs; each step is chosen by a seed: a flush is sent, or held up on its way, or paused between its
//! look and its write or between its write and its end; it commits, is lost with its connection, or commits and nobody
//! hears of it; leases run out, by time or by a clock that jumps, and are renewed; runs are claimed, cancelled, handed over;
//! a replica that was replaced goes on as if nothing had happened. Postgres runs one statement at a time: after each step
//! everything has either answered or waits for a lock, so that a seed makes the same history again.
//!
//! What must hold: a log is dense and holds what was acknowledged, each event once; nobody's event comes after a later
//! owner has looked; nobody's run is taken while its lease holds; and whoever owns a run can go on with it. The same
//! histories are played with the fence weakened, and must then be found wanting.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use headwater_protocol::ReplicaId;
use headwater_store::admin::Admin;
use headwater_store::commit::LeaseToken;
use headwater_testkit::Random;
use uuid::Uuid;

use crate::fence::{Fence, append, source_of};
use crate::support::{LEASE_MS, NO_LEASE_MS, Owned, World, begin, register};

const REPLICAS: usize = 3;
const RUNS: usize = 2;
/// Statements that can be under way at once.
const LINES: usize = 8;
const STEPS: usize = 60;
/// The first of the locks that hold statements up; each line has two.
const GATES: u64 = 724_700;

/// What a replica believes that it owns.
#[derive(Clone, Debug)]
struct Belief {
    run: usize,
    token: LeaseToken,
    next: u64,
    /// What it says next, or says again because it has not heard what came of it.
    says: String,
    in_flight: bool,
}

/// A process, under the id that it has now.
struct Process {
    replica: ReplicaId,
    beliefs: Vec<Belief>,
    said: u64,
}

/// Somebody's ownership of a run, as the database has seen them follow each other.
#[derive(Debug)]
struct Ownership {
    replica: ReplicaId,
    /// The end of the log when its owner looked.
    looked: Option<u64>,
}

#[derive(Clone, Debug)]
enum What {
    Append { process: usize, run: usize, token: LeaseToken, seq: u64, says: String },
    Claim { process: usize, replica: ReplicaId, began: usize },
    Cancel { process: usize, replica: ReplicaId, run: usize, token: LeaseToken },
    Retire,
}

type Rows = Vec<Vec<Option<String>>>;
type Answer = Pin<Box<dyn Future<Output = Result<Rows, Wrong>>>>;

/// A statement under way on one of the connections.
struct Flight {
    line: usize,
    what: What,
    sql: String,
    /// On its way to Postgres.
    sent: bool,
    running: Option<Answer>,
    answered: Option<Result<Rows, Wrong>>,
    /// Its sender waits for it no longer.
    forgotten: bool,
}

struct Simulation<'a> {
    world: &'a World,
    admin: &'a Admin,
    holder: &'a Admin,
    lines: &'a [Rc<Admin>],
    random: Random,
    step: usize,
    runs: Vec<Owned>,
    processes: Vec<Process>,
    flights: Vec<Flight>,
    /// Gates that are shut: line, and whether it is the second one.
    shut: Vec<(usize, bool)>,
    owners: Vec<Vec<Ownership>>,
    acknowledged: Vec<(usize, u64, String)>,
    /// When a replica's lease was seen to have run out last, or that it takes leave.
    lapsed: Vec<(ReplicaId, usize)>,
    history: String,
}

/// Why a history is not as it should be.
type Wrong = String;

impl<'a> Simulation<'a> {
    async fn new(world: &'a World, admin: &'a Admin, holder: &'a Admin, lines: &'a [Rc<Admin>], seed: u64) -> Self {
        admin
            .execute(
                "UPDATE headwater.runs SET status = 'completed', finished_at = now(), owner = NULL, lease_token = NULL
                     WHERE status NOT IN ('completed', 'failed', 'cancelled');
                 DELETE FROM headwater.run_cancels",
            )
            .await
            .expect("ends what was before");
        admin.execute("DELETE FROM headwater_sys.replicas").await.expect("forgets who was before");
        // New runs are this one's.
        world.unscoped().replica_register(world.replica, LEASE_MS).await.expect("registers");
        let mut simulation = Self {
            world,
            admin,
            holder,
            lines,
            random: Random::new(seed),
            step: 0,
            runs: Vec::new(),
            processes: Vec::new(),
            flights: Vec::new(),
            shut: Vec::new(),
            owners: Vec::new(),
            acknowledged: Vec::new(),
            lapsed: Vec::new(),
            history: String::new(),
        };
        for at in 0..REPLICAS {
            let replica = if at == 0 { world.replica } else { register(&world.unscoped()).await };
            simulation.processes.push(Process { replica, beliefs: Vec::new(), said: 0 });
        }
        for run in 0..RUNS {
            let owned = world.run().await;
            let belief = Belief { run, token: owned.token, next: 3, says: String::new(), in_flight: false };
            simulation.processes[0].beliefs.push(belief);
            let first = Ownership { replica: world.replica, looked: Some(2) };
            simulation.owners.push(vec![first]);
            simulation.runs.push(owned);
        }
        simulation
    }

    fn tell(&mut self, words: &str) {
        let _ = writeln!(self.history, "{:>3} {words}", self.step);
    }

    /// Plays it to its end. `Err`: what went wrong, and how it came to that.
    async fn play(mut self) -> Result<(), Wrong> {
        let outcome = self.steps().await;
        // Nothing of it may be left on the connections, whatever came of it.
        self.open_all().await;
        let mut settled = Ok(());
        while !self.flights.is_empty() {
            if let Err(wrong) = self.settle().await {
                settled = Err(wrong);
            }
            while let Some(at) = self.flights.iter().position(|flight| flight.answered.is_some() || !flight.sent) {
                if let Err(wrong) = self.finish(at, Ends::Commits).await {
                    settled = Err(wrong);
                }
            }
        }
        let outcome = match outcome.and(settled) {
            Ok(()) => self.look().await,
            wrong => wrong,
        };
        outcome.map_err(|wrong| format!("{wrong}\n{}", self.history))
    }

    async fn steps(&mut self) -> Result<(), Wrong> {
        for step in 0..STEPS {
            self.step = step;
            match self.random.up_to(100) {
                1..=40 => self.say().await,
                41..=52 => self.claim().await,
                53..=58 => self.cancel().await,
                59..=61 => self.retire().await,
                62..=72 => self.open_one().await,
                73..=78 => self.send_one(),
                79..=84 => self.jump().await,
                85..=92 => self.renew().await,
                _ => {}
            }
            self.settle().await?;
            let answered: Vec<_> = (0..self.flights.len()).filter(|at| self.flights[*at].answered.is_some()).collect();
            if let Some(at) = self.random.one_of(&answered)
                && !self.random.one_in(4)
            {
                let ends = match self.random.up_to(8) {
                    1 => Ends::Lost,
                    2 => Ends::Unheard,
                    _ => Ends::Commits,
                };
                self.finish(at, ends).await?;
                self.settle().await?;
            }
        }
        Ok(())
    }

    /// A connection that nobody uses.
    fn free_line(&self) -> Option<usize> {
        (0..LINES).find(|line| self.flights.iter().all(|flight| flight.line != *line))
    }

    async fn fly(&mut self, line: usize, what: What, sql: String) {
        for second in [false, true] {
            if self.random.one_in(3) {
                let lock = GATES + 2 * line as u64 + u64::from(second);
                self.holder.execute(&format!("SELECT pg_advisory_lock({lock})")).await.expect("shuts a gate");
                self.shut.push((line, second));
            }
        }
        let delayed = self.random.one_in(6);
        self.tell(&format!("line {line}{}: {what:?}", if delayed { " (later)" } else { "" }));
        let (running, answered) = (None, None);
        self.flights.push(Flight { line, what, sql, sent: false, running, answered, forgotten: false });
        if !delayed {
            let last = self.flights.len() - 1;
            self.send(last);
        }
    }

    fn send(&mut self, at: usize) {
        let flight = &mut self.flights[at];
        flight.sent = true;
        let (line, sql) = (self.lines[flight.line].clone(), flight.sql.clone());
        let (scope, gate) = (self.world.acme.scope(), GATES + 2 * flight.line as u64);
        flight.running = Some(Box::pin(async move {
            begin(&line, scope).await;
            line.execute(&format!("SELECT set_config('sim.gate', '{gate}', true)")).await.expect("names its gates");
            line.rows(&sql).await.map_err(|error| format!("a function raised: {error}"))
        }));
    }

    fn send_one(&mut self) {
        let waiting: Vec<_> = (0..self.flights.len()).filter(|at| !self.flights[*at].sent).collect();
        if let Some(at) = self.random.one_of(&waiting) {
            self.tell(&format!("line {} is sent", self.flights[at].line));
            self.send(at);
        }
    }

    /// Somebody says the next thing, or the last one again.
    async fn say(&mut self) {
        let mut who = Vec::new();
        for (process, it) in self.processes.iter().enumerate() {
            who.extend((0..it.beliefs.len()).filter(|at| !it.beliefs[*at].in_flight).map(|at| (process, at)));
        }
        let (Some(line), Some((process, at))) = (self.free_line(), self.random.one_of(&who)) else { return };
        let it = &mut self.processes[process];
        if it.beliefs[at].says.is_empty() {
            it.said += 1;
            it.beliefs[at].says = format!("{process}-{}-{}", &it.replica.0.simple().to_string()[24..], it.said);
        }
        it.beliefs[at].in_flight = true;
        let (belief, replica) = (it.beliefs[at].clone(), it.replica);
        let sql = append(replica, &self.runs[belief.run], belief.token, belief.next, &belief.says);
        let Belief { run, token, next: seq, says, .. } = belief;
        self.fly(line, What::Append { process, run, token, seq, says }, sql).await;
    }

    async fn claim(&mut self) {
        let Some(line) = self.free_line() else { return };
        let process = self.random.up_to(REPLICAS as u64) as usize - 1;
        let replica = self.processes[process].replica;
        let limit = self.random.up_to(2);
        let sql = format!(
            "SELECT run_id::text, token::text FROM headwater.claim_runs('{}', {NO_LEASE_MS}, {limit})",
            replica.0
        );
        let began = self.step;
        self.fly(line, What::Claim { process, replica, began }, sql).await;
    }

    /// A cancel takes a run away from whoever owns it.
    async fn cancel(&mut self) {
        let Some(line) = self.free_line() else { return };
        let process = self.random.up_to(REPLICAS as u64) as usize - 1;
        let run = self.random.up_to(RUNS as u64) as usize - 1;
        let (replica, token) = (self.processes[process].replica, LeaseToken::new());
        let id = self.runs[run].run.uuid();
        let sql = format!("SELECT headwater.cancel_run('{}', '{id}', '{}', NULL)", replica.0, token.0);
        self.fly(line, What::Cancel { process, replica, run, token }, sql).await;
    }

    /// A replica takes leave and comes back under another id, as a deploy does.
    async fn retire(&mut self) {
        let Some(line) = self.free_line() else { return };
        let process = self.random.up_to(REPLICAS as u64) as usize - 1;
        let replica = self.processes[process].replica;
        self.lapsed.push((replica, self.step));
        self.fly(line, What::Retire, format!("SELECT headwater.replica_retire('{}')", replica.0)).await;
        // A zombie keeps what it believes.
        if !self.random.one_in(3) {
            self.rename(process).await;
        }
    }

    async fn rename(&mut self, process: usize) {
        let replica = register(&self.world.unscoped()).await;
        self.tell(&format!("process {process} goes on as {}", replica.0));
        self.processes[process].replica = replica;
        self.processes[process].beliefs.clear();
        for flight in &mut self.flights {
            flight.forgotten |= flight.what.process() == Some(process);
        }
    }

    /// The clock jumps, or time passes: a lease has run out, or holds again.
    async fn jump(&mut self) {
        let process = self.random.up_to(REPLICAS as u64) as usize - 1;
        let replica = self.processes[process].replica;
        let forth = !self.random.one_in(4);
        let expires = if forth { "now() - interval '1 second'" } else { "now() + interval '1 hour'" };
        // Without a wait: a lease can run out while its row is locked.
        let sql = format!(
            "UPDATE headwater_sys.replicas SET expires_at = {expires} WHERE replica_id IN (
                 SELECT replica_id FROM headwater_sys.replicas WHERE replica_id = '{}' FOR NO KEY UPDATE SKIP LOCKED)
             RETURNING 1",
            replica.0
        );
        let found = self.admin.value(&sql).await.expect("jumps").is_some();
        if found {
            self.tell(&format!("the lease of {} {}", replica.0, if forth { "runs out" } else { "holds" }));
            if forth {
                self.lapsed.push((replica, usize::MAX));
            } else {
                self.holds(replica);
            }
        }
    }

    /// From now on its lease holds: until now it did not.
    fn holds(&mut self, replica: ReplicaId) {
        for (lapsed, until) in &mut self.lapsed {
            if *lapsed == replica && *until == usize::MAX {
                *until = self.step;
            }
        }
    }

    async fn renew(&mut self) {
        let process = self.random.up_to(REPLICAS as u64) as usize - 1;
        let replica = self.processes[process].replica;
        // Whoever is taking this replica's place holds its row, and a renewal would wait for that.
        let free = format!(
            "SELECT 1 FROM headwater_sys.replicas WHERE replica_id = '{}' FOR NO KEY UPDATE SKIP LOCKED",
            replica.0
        );
        let there = format!("SELECT 1 FROM headwater_sys.replicas WHERE replica_id = '{}'", replica.0);
        let there = self.admin.value(&there).await.expect("looks").is_some();
        if there && self.admin.value(&free).await.expect("looks").is_none() {
            return;
        }
        let unscoped = self.world.unscoped();
        let renewed = unscoped.replica_renew(replica, LEASE_MS).await.expect("renews");
        self.tell(&format!("{} renews: {renewed}", replica.0));
        if renewed {
            self.holds(replica);
        } else if !self.random.one_in(3) {
            self.rename(process).await;
        }
    }

    async fn open_one(&mut self) {
        if let Some(gate) = self.random.one_of(&self.shut) {
            self.open(gate).await;
        }
    }

    async fn open_all(&mut self) {
        while let Some(gate) = self.shut.last().copied() {
            self.open(gate).await;
        }
    }

    async fn open(&mut self, gate: (usize, bool)) {
        self.shut.retain(|other| *other != gate);
        let lock = GATES + 2 * gate.0 as u64 + u64::from(gate.1);
        self.holder.execute(&format!("SELECT pg_advisory_unlock({lock})")).await.expect("opens a gate");
        self.tell(&format!("line {} goes on", gate.0));
    }

    /// Waits until every statement has either answered or waits for a lock.
    async fn settle(&mut self) -> Result<(), Wrong> {
        let sql = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN
                       (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
        for _ in 0..100_000 {
            poll_fn(|context| {
                for flight in &mut self.flights {
                    if let Some(running) = &mut flight.running
                        && let Poll::Ready(rows) = running.as_mut().poll(context)
                    {
                        (flight.running, flight.answered) = (None, Some(rows));
                    }
                }
                Poll::Ready(())
            })
            .await;
            let running = self.flights.iter().filter(|flight| flight.running.is_some()).count();
            if running == 0 || self.admin.value(sql).await.expect("looks at locks") == Some(running.to_string()) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err("statements neither answer nor wait".into())
    }

    /// Ends the transaction of a statement that has answered, and lets its sender know, or not.
    async fn finish(&mut self, at: usize, ends: Ends) -> Result<(), Wrong> {
        let flight = self.flights.swap_remove(at);
        for second in [false, true] {
            if self.shut.contains(&(flight.line, second)) {
                self.open((flight.line, second)).await;
            }
        }
        let heard = ends == Ends::Commits && !flight.forgotten;
        if flight.sent {
            let end = if ends == Ends::Lost { "ROLLBACK" } else { "COMMIT" };
            self.lines[flight.line].execute(end).await.expect("ends");
        }
        let rows = flight.answered.unwrap_or(Ok(Rows::new()))?;
        self.tell(&format!("line {} {ends:?}, heard {heard}: {rows:?}", flight.line));
        let committed = flight.sent && ends != Ends::Lost;
        match flight.what {
            What::Append { process, run, token, seq, says, .. } => {
                let verdict = rows.first().and_then(|row| row[0].clone()).unwrap_or_default();
                let beliefs = &mut self.processes[process].beliefs;
                let Some(belief) = beliefs.iter_mut().find(|it| it.token == token && it.run == run) else {
                    return Ok(());
                };
                belief.in_flight = false;
                match verdict.as_str() {
                    _ if !heard || !committed => {}
                    "ok" | "done" => {
                        (belief.next, belief.says) = (seq + 1, String::new());
                        self.acknowledged.push((run, seq, says));
                    }
                    // A zombie does not believe it.
                    _ if self.random.one_in(3) => {}
                    _ => beliefs.retain(|it| !(it.token == token && it.run == run)),
                }
                Ok(())
            }
            What::Claim { process, replica, began } => {
                let mut taken = Vec::new();
                for row in rows.iter().filter(|_| committed) {
                    let uuid = |at: usize| row[at].as_deref().and_then(|text| Uuid::try_parse(text).ok());
                    let (run, token) = (uuid(0).expect("a run"), LeaseToken(uuid(1).expect("a token")));
                    let run = self.runs.iter().position(|owned| owned.run.uuid() == run).expect("a run of ours");
                    let before = self.owners[run].last().expect("an owner").replica;
                    let free = self.lapsed.iter().any(|(lapsed, until)| *lapsed == before && *until >= began);
                    let retired = self.lapsed.iter().any(|(lapsed, until)| *lapsed == before && *until != usize::MAX);
                    if !free && !retired {
                        return Err(format!("{} took run {run} from {}, whose lease holds", replica.0, before.0));
                    }
                    taken.push((run, token));
                }
                self.taken(process, replica, &taken, heard).await
            }
            What::Cancel { process, replica, run, token } => {
                let status = rows.first().and_then(|row| row[0].as_deref());
                if committed && status == Some("running") {
                    return self.taken(process, replica, &[(run, token)], heard).await;
                }
                Ok(())
            }
            What::Retire => Ok(()),
        }
    }

    /// Runs have changed hands. Their new owner looks how far they are, if it has heard of it.
    async fn taken(
        &mut self,
        process: usize,
        replica: ReplicaId,
        runs: &[(usize, LeaseToken)],
        heard: bool,
    ) -> Result<(), Wrong> {
        for (run, token) in runs.iter().copied() {
            self.owners[run].push(Ownership { replica, looked: None });
            let it = &mut self.processes[process];
            if heard && it.replica == replica {
                it.beliefs.retain(|belief| belief.run != run);
                let tail = format!("SELECT tail FROM headwater.runs WHERE run_id = '{}'", self.runs[run].run.uuid());
                let tail = self.admin.value(&tail).await.expect("looks").and_then(|tail| tail.parse::<u64>().ok());
                let tail = tail.ok_or("the run is gone")?;
                self.owners[run].last_mut().expect("it was just added").looked = Some(tail);
                let belief = Belief { run, token, next: tail + 1, says: String::new(), in_flight: false };
                self.processes[process].beliefs.push(belief);
            }
        }
        Ok(())
    }

    /// What must hold at the end.
    async fn look(&mut self) -> Result<(), Wrong> {
        for run in 0..RUNS {
            let id = self.runs[run].run.uuid();
            let sql =
                format!("SELECT seq_from, seq_to, events FROM headwater.run_events WHERE run_id = '{id}' ORDER BY 1");
            let rows = self.admin.rows(&sql).await.expect("reads the log");
            let mut log: Vec<(u64, String)> = Vec::new();
            let mut next = 1;
            for row in &rows {
                let number = |at: usize| row[at].as_deref().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
                if number(0) != next {
                    return Err(format!("the log of run {run} has a hole before {}", number(0)));
                }
                next = number(1) + 1;
                let text = row[2].as_deref().and_then(|events| events.split("\"text\":\"").nth(1)?.split('"').next());
                log.push((number(0), text.unwrap_or_default().to_owned()));
            }
            let sql = format!("SELECT tail, owner::text, lease_token::text FROM headwater.runs WHERE run_id = '{id}'");
            let row = self.admin.rows(&sql).await.expect("reads the run").remove(0);
            if row[0] != Some((next - 1).to_string()) {
                return Err(format!("run {run} ends at {:?} and its log at {}", row[0], next - 1));
            }
            for (_, seq, says) in self.acknowledged.iter().filter(|(of, _, _)| *of == run) {
                let found: Vec<_> = log.iter().filter(|(_, text)| text == says).map(|(seq, _)| *seq).collect();
                if found != [*seq] {
                    return Err(format!("{says} was acknowledged at {seq} of run {run}, and is at {found:?}"));
                }
            }
            // Who said it: the replica's id is part of what it says.
            let order = |text: &str| {
                let replica = text.split('-').nth(1)?;
                let id = |owner: &Ownership| owner.replica.0.simple().to_string()[24..] == *replica;
                self.owners[run].iter().position(id)
            };
            for (at, owner) in self.owners[run].iter().enumerate() {
                let Some(looked) = owner.looked else { continue };
                let late = log.iter().find(|(seq, text)| {
                    *seq > looked
                        && order(text).is_some_and(|first| first < at)
                        // A replica that owns it again may go on.
                        && !self.owners[run][at..].iter().any(|later| {
                            later.replica.0.simple().to_string()[24..] == *text.split('-').nth(1).unwrap_or_default()
                        })
                });
                if let Some((seq, text)) = late {
                    return Err(format!(
                        "{text} stands at {seq} of run {run}, after {} had looked at {looked}",
                        owner.replica.0
                    ));
                }
            }
            // Whoever owns it goes on.
            if let (Some(owner), Some(token)) = (&row[1], &row[2]) {
                let process = self.processes.iter().find(|process| process.replica.0.to_string() == *owner);
                let belief = process.and_then(|process| {
                    process.beliefs.iter().find(|it| it.run == run && it.token.0.to_string() == *token)
                });
                let alive = format!("SELECT 1 FROM headwater_sys.replicas WHERE replica_id = '{owner}'");
                let alive = self.admin.value(&alive).await.expect("looks").is_some();
                if let (Some(belief), true) = (belief, alive) {
                    let says = if belief.says.is_empty() { "last" } else { &belief.says };
                    let replica = ReplicaId(owner.parse().expect("an id"));
                    let sql = append(replica, &self.runs[run], belief.token, belief.next, says);
                    let line = &self.lines[0];
                    begin(line, self.world.acme.scope()).await;
                    let verdict = line.value(&sql).await.expect("appends").unwrap_or_default();
                    line.execute("COMMIT").await.expect("commits");
                    if !matches!(verdict.as_str(), "ok" | "done") {
                        return Err(format!("{owner} owns run {run}, and is told {verdict} at {}", belief.next));
                    }
                }
            }
        }
        Ok(())
    }
}

impl What {
    fn process(&self) -> Option<usize> {
        match self {
            Self::Append { process, .. } | Self::Claim { process, .. } | Self::Cancel { process, .. } => Some(*process),
            Self::Retire => None,
        }
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    Commits,
    /// With its connection.
    Lost,
    /// And the answer is lost.
    Unheard,
}

/// What is weakened.
#[derive(Clone, Copy, Debug)]
enum Weak {
    Fence(Fence),
    /// Leases that hold are taken for lapsed.
    Lease,
}

/// Adds the gates to the functions, and takes out of them what is to be taken out.
async fn install(admin: &Admin, weak: Weak) {
    let fence = match weak {
        Weak::Fence(fence) => fence,
        Weak::Lease => Fence::Whole,
    };
    let gate = |second: u64| {
        format!(
            "PERFORM pg_advisory_xact_lock_shared(current_setting('sim.gate')::bigint + {second})
             WHERE coalesce(current_setting('sim.gate', true), '') <> '';"
        )
    };
    let append = source_of(admin, fence, &gate(0), &gate(1)).await;
    admin.execute(&append).await.expect("replaces the function");
    for (function, before) in [
        ("headwater.claim_runs", "RETURN QUERY"),
        ("headwater.cancel_run", "UPDATE headwater.runs SET owner = p_replica"),
        ("headwater.replica_retire", "UPDATE headwater.runs SET owner = NULL"),
    ] {
        let source = admin.value(&format!("SELECT pg_get_functiondef('{function}'::regproc)")).await;
        let source = source.expect("asks").expect("the function's source");
        assert_eq!(source.matches(before).count(), 1, "{function} has changed");
        let mut source = source.replace(before, &format!("{} {before}", gate(0)));
        if matches!(weak, Weak::Lease) {
            source = source.replace("d.expires_at < clock_timestamp() AND", "");
        }
        admin.execute(&source).await.expect("replaces the function");
    }
}

/// Plays these seeds. `Err`: the first one that went wrong, and how.
async fn play(weak: Weak, seeds: impl Iterator<Item = u64>) -> Result<u64, (u64, Wrong)> {
    let world = World::new().await;
    let (admin, holder) = (world.database.admin().await, world.database.admin().await);
    install(&admin, weak).await;
    let mut lines = Vec::new();
    for _ in 0..LINES {
        let line = world.database.app().await;
        line.execute("SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0")
            .await
            .expect("waits for as long as it takes");
        lines.push(Rc::new(line));
    }
    let mut played = 0;
    for seed in seeds {
        Simulation::new(&world, &admin, &holder, &lines, seed).await.play().await.map_err(|wrong| (seed, wrong))?;
        played += 1;
    }
    Ok(played)
}

/// More of them: `HEADWATER_TEST_SEEDS=1000`.
fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("HEADWATER_TEST_SEEDS").ok().and_then(|count| count.parse().ok());
    0..count.unwrap_or(40)
}

#[tokio::test]
async fn no_history_breaks_the_fence() {
    for fence in [Fence::Whole, Fence::NoReplicaLock] {
        // The lock of the run's row holds alone, as the contests show; the other lock lets takeovers wait their turn.
        if let Err((seed, wrong)) = play(Weak::Fence(fence), seeds()).await {
            panic!("{fence:?}, seed {seed}: {wrong}");
        }
    }
}

#[tokio::test]
async fn what_is_weakened_is_found_out() {
    for (weak, words) in [
        (Weak::Fence(Fence::NoRowCheck), "a function raised"),
        (Weak::Fence(Fence::Neither), "a function raised"),
        (Weak::Fence(Fence::EpochAlone), "had looked at"),
        (Weak::Lease, "whose lease holds"),
    ] {
        let (seed, wrong) = play(weak, 0..400).await.expect_err("some history breaks it");
        assert!(wrong.contains(words), "{weak:?}, seed {seed}: {wrong}");
    }
}
