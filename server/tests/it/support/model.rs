//! One scripted model for all tests, with a lane for each.
//!
//! The server under test knows its providers from the start, so all tests share one model server. A lane answers the
//! calls that carry its name: as the model (`fake/NAME`), or anywhere in the messages, for models with a price.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};

use headwater_testkit::ModelServer;
use headwater_testkit::model::{RecordedRequest, Reply, Script};
use tokio::sync::watch;

use super::unique;

type Answers = Box<dyn FnMut(&RecordedRequest) -> Option<Reply> + Send>;

/// One test's part of the model.
pub(crate) struct Lane {
    name: String,
    answers: Mutex<Answers>,
    requests: watch::Sender<Vec<RecordedRequest>>,
}

/// The model server and its lanes.
pub(crate) struct Models {
    server: ModelServer,
    lanes: Arc<Mutex<Vec<Arc<Lane>>>>,
    // What the server runs in: tests' own runtimes end with their tests.
    _runtime: tokio::runtime::Runtime,
}

/// The one model server of this process.
pub(crate) fn models() -> &'static Models {
    static MODELS: LazyLock<Models> = LazyLock::new(Models::start);
    &MODELS
}

impl Models {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime for the model");
        let lanes: Arc<Mutex<Vec<Arc<Lane>>>> = Arc::default();
        let known = lanes.clone();
        let script = Script::from_fn(move |request| {
            let text = request.body.to_string();
            let lanes = known.lock().expect("nobody panics with it").clone();
            let lane = lanes.iter().find(|lane| text.contains(&lane.name)).expect("each call belongs to a lane");
            let answer = (lane.answers.lock().expect("nobody panics with it"))(request);
            lane.requests.send_modify(|requests| requests.push(request.clone()));
            answer.expect("the lane has an answer to each call")
        });
        let server = {
            let _inside = runtime.enter();
            ModelServer::start(script)
        };
        Self { server, lanes, _runtime: runtime }
    }

    pub(crate) fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The model server itself.
    pub(crate) fn server(&self) -> &ModelServer {
        &self.server
    }

    fn lane(&self, answers: Answers) -> Arc<Lane> {
        self.lane_of(unique("lane"), answers)
    }

    fn lane_of(&self, name: String, answers: Answers) -> Arc<Lane> {
        let lane = Arc::new(Lane { name, answers: Mutex::new(answers), requests: watch::Sender::default() });
        self.lanes.lock().expect("nobody panics with it").push(lane.clone());
        lane
    }
}

impl Lane {
    /// Answers with these, in this order, and none after the last.
    pub(crate) fn sequence(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        models().lane(Box::new(move |_| replies.pop_front()))
    }

    /// The same under a name that is the same in each run of the tests, for snapshots.
    pub(crate) fn named(name: &str, replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        models().lane_of(name.to_owned(), Box::new(move |_| replies.pop_front()))
    }

    /// Answers each call with this.
    pub(crate) fn always(reply: Reply) -> Arc<Self> {
        models().lane(Box::new(move |_| Some(reply.clone())))
    }

    /// Calls this tool once, and when it has been answered says this.
    pub(crate) fn calling(tool: &str, args: &str, then: Reply) -> Arc<Self> {
        let call = Reply::text("").tool_call(tool, args);
        models().lane(Box::new(move |request| {
            let messages = request.body["messages"].as_array()?;
            let answered = messages.last().is_some_and(|last| last["role"] == "tool");
            Some(if answered { then.clone() } else { call.clone() })
        }))
    }

    /// Quotes the last user message.
    pub(crate) fn echo() -> Arc<Self> {
        let quote = |request: &RecordedRequest| Reply::text(format!("You said: {}", request.last_text("user")?)).into();
        models().lane(Box::new(quote))
    }

    /// The model that agents name to come here.
    pub(crate) fn model(&self) -> String {
        format!("fake/{}", self.name)
    }

    /// What a message has to hold to come here with any other model.
    pub(crate) fn mark(&self) -> &str {
        &self.name
    }

    /// The calls so far.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.borrow().clone()
    }

    /// Waits until there were `n` calls.
    pub(crate) async fn called(&self, n: usize) -> Vec<RecordedRequest> {
        let mut requests = self.requests.subscribe();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), requests.wait_for(|all| all.len() >= n));
        waited.await.unwrap_or_else(|_| panic!("waited for {n} calls of the model")).expect("the lane lives").clone()
    }
}
