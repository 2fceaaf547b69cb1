//! Which reply answers which call.
//!
//! Owns: [`Script`] and the two deterministic ones, echo and load.
//! Promises: a sequence is used up in the order the requests arrive. A call it has no reply for is refused and counts
//! as a violation, so that a test that makes one call too many fails instead of hanging.
//! Never does: remember anything but its place in a sequence.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use super::{load::Plans, reply::Reply, request::RecordedRequest};

/// Decides the reply to each call. Cheap to clone; clones share their place in a sequence.
#[derive(Clone)]
pub struct Script(Kind);

#[derive(Clone)]
enum Kind {
    Sequence(Arc<Mutex<VecDeque<Reply>>>),
    Always(Arc<Reply>),
    Function(Arc<dyn Fn(&RecordedRequest) -> Reply + Send + Sync>),
    Load(Arc<Plans>),
}

/// What a script says to a call.
pub(super) enum Choice {
    Reply(Arc<Reply>),
    Load(Arc<Plans>),
    /// The script has nothing to say: why.
    None(String),
}

impl Script {
    /// One reply per call, in this order, and none after the last.
    #[must_use]
    pub fn sequence(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self(Kind::Sequence(Arc::new(Mutex::new(replies.into_iter().collect()))))
    }

    /// The same reply to every call.
    #[must_use]
    pub fn always(reply: Reply) -> Self {
        Self(Kind::Always(Arc::new(reply)))
    }

    /// A reply made from the request. A panic inside is answered with 400 and recorded as a violation.
    #[must_use]
    pub fn from_fn(reply: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self(Kind::Function(Arc::new(reply)))
    }

    /// Quotes the last user message: `You said: "…"`, or, after a tool result, `The tool said: "…"`.
    #[must_use]
    pub fn echo() -> Self {
        Self::from_fn(|request| {
            let last = request.messages().last().map(|message| message["role"] == "tool");
            let (who, role) = if last == Some(true) { ("The tool", "tool") } else { ("You", "user") };
            Reply::text(format!("{who} said: \"{}\"", request.last_text(role).unwrap_or_default()))
        })
    }

    /// For load: the model name decides. `load-64x50` is 64 tokens 50 ms apart, `load-32x0` is 32 tokens in one write.
    /// Other names are answered with 404 `model_not_found`. See [`ideal`](super::ideal) for how long such a call takes.
    #[must_use]
    pub fn load() -> Self {
        Self(Kind::Load(Arc::default()))
    }

    /// Whether the choice needs the request as a whole.
    pub(super) fn reads_request(&self) -> bool {
        matches!(self.0, Kind::Function(_))
    }

    pub(super) fn choose(&self, request: Option<&RecordedRequest>) -> Choice {
        match &self.0 {
            Kind::Sequence(replies) => {
                let next = replies.lock().expect("a script's lock is never poisoned").pop_front();
                next.map_or_else(
                    || Choice::None("the script has no reply left for this call".to_owned()),
                    |reply| Choice::Reply(Arc::new(reply)),
                )
            }
            Kind::Always(reply) => Choice::Reply(reply.clone()),
            Kind::Function(function) => {
                let request = request.expect("a request is recorded for scripts that read it");
                match catch_unwind(AssertUnwindSafe(|| function(request))) {
                    Ok(reply) => Choice::Reply(Arc::new(reply)),
                    Err(panic) => Choice::None(format!("the script panicked: {}", panic_text(&*panic))),
                }
            }
            Kind::Load(plans) => Choice::Load(plans.clone()),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::sequence([reply])
    }
}

impl<const N: usize> From<[Reply; N]> for Script {
    fn from(replies: [Reply; N]) -> Self {
        Self::sequence(replies)
    }
}

impl From<Vec<Reply>> for Script {
    fn from(replies: Vec<Reply>) -> Self {
        Self::sequence(replies)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Sequence(_) => "Script::sequence",
            Kind::Always(_) => "Script::always",
            Kind::Function(_) => "Script::from_fn",
            Kind::Load(_) => "Script::load",
        })
    }
}
