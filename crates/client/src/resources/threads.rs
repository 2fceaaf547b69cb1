//! Threads and their messages.

use headwater_protocol::ThreadId;
use headwater_protocol::api::{List, MessageParams, Thread, ThreadSettings};
use headwater_protocol::message::Message;
use serde::Serialize;

use crate::{Client, Error, ListOptions, Options};

impl Client {
    /// Makes a thread for the acting user.
    pub async fn threads_create(&self, settings: &ThreadSettings, options: Options) -> Result<Thread, Error> {
        self.post(&["threads"], settings, options).await
    }

    /// A thread.
    pub async fn threads_get(&self, thread: ThreadId) -> Result<Thread, Error> {
        self.get(&["threads", &thread.to_string()]).await
    }

    /// Threads; filters `external_id`, `status`, `user`.
    pub async fn threads_list(&self, page: ListOptions) -> Result<List<Thread>, Error> {
        self.list(&["threads"], page.into_query()).await
    }

    /// Changes a thread by a JSON merge patch (RFC 7396).
    pub async fn threads_update(&self, thread: ThreadId, patch: &impl Serialize) -> Result<Thread, Error> {
        self.patch(&["threads", &thread.to_string()], patch).await
    }

    /// Deletes a thread with its messages, runs and events; an active run is cancelled first.
    pub async fn threads_delete(&self, thread: ThreadId) -> Result<(), Error> {
        self.delete(&["threads", &thread.to_string()]).await
    }

    /// The messages of a thread; filters `run`, `role`.
    pub async fn threads_messages(&self, thread: ThreadId, page: ListOptions) -> Result<List<Message>, Error> {
        self.list(&["threads", &thread.to_string(), "messages"], page.into_query()).await
    }

    /// Adds a message of the past, without a run.
    pub async fn threads_import(
        &self,
        thread: ThreadId,
        message: &MessageParams,
        options: Options,
    ) -> Result<Message, Error> {
        self.post(&["threads", &thread.to_string(), "messages"], message, options).await
    }
}
