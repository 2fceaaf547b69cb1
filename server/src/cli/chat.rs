//! `headwater chat`: an answer as it comes, from any terminal, and the rest of it from another.
//!
//! The run lives on the server. Ctrl-C lets go of it, nothing more: where the printing stood is kept in the data
//! directory, and `chat --resume run_…` goes on there. Without that note (another machine, a terminal that was closed)
//! it prints the answer from its start.

use std::io::{IsTerminal as _, Read as _, Write as _};

use anyhow::anyhow;
use clap::Args;
use headwater_client::protocol::api::RunParams;
use headwater_client::protocol::event::EventBody;
use headwater_client::protocol::{ErrorCode, RunId, ThreadId};
use headwater_client::{Cursor, Options, RunStream, StreamItem, StreamOptions};
use serde::{Deserialize, Serialize};

use super::data_dir::DataDir;
use super::env_file::quote;
use super::remote::{Credential, Remote, RemoteArgs};
use super::signals::Signals;
use super::transcript::{Piece, Printed, Transcript};
use super::{myself, output};

const NOTES: &str = "chat.json";
const MAX_NOTES: usize = 100;

#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    /// What to say; without it, it is asked for or read from stdin
    message: Option<String>,
    /// The agent's name or id
    #[arg(long, default_value = "assistant")]
    agent: String,
    /// The user to speak as
    #[arg(long, default_value = "alice")]
    user: String,
    /// Go on with this thread
    #[arg(long, value_name = "thr_…")]
    thread: Option<ThreadId>,
    /// Go on with the answer of this run
    #[arg(long, value_name = "run_…", conflicts_with_all = ["message", "thread"])]
    resume: Option<RunId>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// What a stream came to.
enum Outcome {
    /// The run is over; its thread, if it was told.
    Over(Option<ThreadId>),
    /// The person let go.
    Left,
}

pub(super) async fn run(args: ChatArgs) -> anyhow::Result<()> {
    let remote = Remote::find(&args.remote, Credential::Tenant, Some(&args.user))?;
    let mut chat =
        Chat { data: DataDir::at(args.remote.data_dir.as_deref()), signals: Signals::listen()?, remote, args };
    // Says at once what is wrong with address or key; a stream would try for a while.
    let me = chat.remote.client.me().await;
    me.map_err(|error| chat.remote.explain(error))?;
    if let Some(run) = chat.args.resume {
        return chat.resume(run).await.map(drop);
    }
    if let Some(message) = chat.args.message.take() {
        return chat.say(&message, chat.args.thread, false).await.map(drop);
    }
    if !std::io::stdin().is_terminal() {
        let mut message = String::new();
        std::io::stdin().read_to_string(&mut message)?;
        return chat.say(message.trim_end(), chat.args.thread, false).await.map(drop);
    }
    let mut thread = chat.args.thread;
    while let Some(message) = chat.ask().await? {
        match chat.say(&message, thread, true).await {
            Ok(Outcome::Over(told)) => thread = told.or(thread),
            Ok(Outcome::Left) => break,
            // A failed run is no reason to end the conversation.
            Err(error) => output::note(&format!("error: {}", super::Chain(&error))),
        }
    }
    Ok(())
}

struct Chat {
    args: ChatArgs,
    data: DataDir,
    signals: Signals,
    remote: Remote,
}

impl Chat {
    /// Asks the person for the next message; nothing when they are done.
    async fn ask(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            let _ = write!(std::io::stderr(), "> ");
            let line = tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).map(|bytes| Some(line).filter(|_| bytes > 0))
            });
            let line = tokio::select! {
                line = line => line??,
                () = self.signals.next() => None,
            };
            match line.map(|line| line.trim().to_owned()) {
                Some(line) if line.is_empty() => {}
                line => return Ok(line),
            }
        }
    }

    /// Says something and prints the answer.
    async fn say(&mut self, message: &str, thread: Option<ThreadId>, goes_on: bool) -> anyhow::Result<Outcome> {
        if message.is_empty() {
            return Err(anyhow!("there is nothing to send; give a message: {} chat \"Hello\"", myself()));
        }
        let params = RunParams::new(&self.args.agent, message);
        let client = &self.remote.client;
        let stream = match thread {
            Some(thread) => client.runs_create_stream_on(thread, &params, Options::new()),
            None => client.runs_create_stream(&params, Options::new()),
        }?;
        let outcome = self.print(stream, Transcript::default()).await?;
        if let (Outcome::Over(Some(thread)), false) = (&outcome, goes_on) {
            let command = self.command(&format!("--thread {thread}"));
            output::dim(&format!("{command} \"…\" goes on with this conversation\n"));
        }
        Ok(outcome)
    }

    /// Prints the rest of a run's answer.
    async fn resume(&mut self, run: RunId) -> anyhow::Result<Outcome> {
        let left = self.notes().into_iter().find(|note| note.run == run);
        let (cursor, printed) =
            left.map_or((Cursor::Start, Printed::default()), |note| (Cursor::After(note.after), note.printed));
        let stream = self.remote.client.runs_stream(run, StreamOptions::after(cursor));
        self.print(stream, Transcript::resume(printed)).await
    }

    /// Prints what a stream tells until the run is over, or the person has had enough.
    async fn print(&mut self, mut stream: RunStream, mut transcript: Transcript) -> anyhow::Result<Outcome> {
        let mut thread = None;
        loop {
            let item = tokio::select! {
                // Whatever is yielded is printed before the next look at the signals, so the cursor is what was seen.
                biased;
                () = self.signals.next() => return self.detach(&stream, &transcript),
                item = stream.next_item() => item,
            };
            let pieces = match item {
                None => break,
                Some(Ok(StreamItem::Event(line))) => {
                    let event = line.parse()?.body;
                    if let EventBody::RunQueued { thread: told, .. } = &event {
                        thread = Some(*told);
                    }
                    transcript.event(event)
                }
                Some(Ok(StreamItem::Reset(reset))) => transcript.snapshot(&reset.snapshot),
                Some(Ok(StreamItem::Hidden(_) | StreamItem::CaughtUp { .. })) => continue,
                Some(Err(error)) => {
                    let refused = error.problem().is_some();
                    let unseen = error.code() == Some(ErrorCode::NotFound);
                    let error = self.remote.explain(error);
                    return Err(match stream.run() {
                        Some(run) if unseen => {
                            let user = &self.args.user;
                            anyhow!("{user} has no run {run} there; look at the id, and name whose it is with --user")
                        }
                        Some(_) if refused => error,
                        None => error,
                        Some(run) => {
                            self.keep(&stream, &transcript);
                            error.context(format!("the stream broke; the run goes on: {}", self.resume_command(run)))
                        }
                    });
                }
            };
            for piece in pieces {
                match piece {
                    Piece::Text(text) => output::print(&text)?,
                    Piece::Reasoning(text) => output::dim(&text),
                    Piece::Note(text) => output::note(&text),
                }
            }
        }
        if let Some(run) = stream.run() {
            self.forget(run);
        }
        match transcript.ended() {
            None => Ok(Outcome::Over(thread)),
            Some(ended) => Err(ended.into()),
        }
    }

    /// Lets go of a run, which goes on.
    fn detach(&self, stream: &RunStream, transcript: &Transcript) -> anyhow::Result<Outcome> {
        let Some(run) = stream.run() else {
            output::note("\nleft before the server had answered: the run may have begun all the same");
            return Ok(Outcome::Left);
        };
        let from = if self.keep(stream, transcript) { "goes on here" } else { "prints it from the start" };
        output::note(&format!("\nleft; the run goes on. This {from}:\n  {}", self.resume_command(run)));
        Ok(Outcome::Left)
    }

    fn resume_command(&self, run: RunId) -> String {
        self.command(&format!("--resume {run}"))
    }

    /// How to call this command again, with the same user and server.
    fn command(&self, options: &str) -> String {
        let mut command = format!("{} chat {options}", myself());
        if self.args.user != "alice" {
            command.push_str(&format!(" --user {}", quote(&self.args.user)));
        }
        if let Some(dir) = &self.args.remote.data_dir {
            command.push_str(&format!(" --data-dir {}", quote(&dir.display().to_string())));
        }
        command
    }

    fn notes(&self) -> Vec<Note> {
        let text = self.data.read(NOTES).ok().flatten().unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Takes a note of where the printing stands. `false` when it could not be kept.
    fn keep(&self, stream: &RunStream, transcript: &Transcript) -> bool {
        let (Some(run), Cursor::After(after)) = (stream.run(), stream.cursor()) else { return false };
        let mut notes = self.notes();
        notes.retain(|note| note.run != run);
        notes.push(Note { run, after, printed: transcript.printed().clone() });
        notes.drain(..notes.len().saturating_sub(MAX_NOTES));
        self.write(&notes)
    }

    fn forget(&self, run: RunId) {
        let mut notes = self.notes();
        let before = notes.len();
        notes.retain(|note| note.run != run);
        if notes.len() < before {
            self.write(&notes);
        }
    }

    fn write(&self, notes: &[Note]) -> bool {
        self.data.path().is_dir()
            && serde_json::to_string(notes).is_ok_and(|text| self.data.write(NOTES, &text).is_ok())
    }
}

/// Where the printing of a run's answer stood.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    run: RunId,
    after: u64,
    printed: Printed,
}
