//! A tenant's users and their tokens, who else says who they are, and who is calling.

use headwater_protocol::IssuerId;
use headwater_protocol::api::{Issuer, IssuerParams, List, Principal, User, UserSettings, UserToken, UserTokenParams};
use serde::Serialize;

use crate::{Client, Error, ListOptions, Options};

impl Client {
    /// Who is calling.
    pub async fn me(&self) -> Result<Principal, Error> {
        self.get(&["me"]).await
    }

    /// Makes a user. Acting as a new user makes it too.
    pub async fn users_create(&self, settings: &UserSettings, options: Options) -> Result<User, Error> {
        self.post(&["users"], settings, options).await
    }

    /// A user by `usr_…` or `external_id`.
    pub async fn users_get(&self, user: &str) -> Result<User, Error> {
        self.get(&["users", user]).await
    }

    /// Users; filters `external_id`, `status`.
    pub async fn users_list(&self, page: ListOptions) -> Result<List<User>, Error> {
        self.list(&["users"], page.into_query()).await
    }

    /// Changes a user by a JSON merge patch (RFC 7396).
    pub async fn users_update(&self, user: &str, patch: &impl Serialize) -> Result<User, Error> {
        self.patch(&["users", user], patch).await
    }

    /// Deletes a user with all that is theirs.
    pub async fn users_delete(&self, user: &str) -> Result<(), Error> {
        self.delete(&["users", user]).await
    }

    /// Mints a token for a user, to hand to a browser or an app. The service keeps nothing of it.
    pub async fn user_tokens_create(&self, params: &UserTokenParams, options: Options) -> Result<UserToken, Error> {
        self.post(&["user_tokens"], params, options).await
    }

    /// Adds an identity provider of the tenant's own, whose tokens its users may come with.
    pub async fn issuers_create(&self, params: &IssuerParams, options: Options) -> Result<Issuer, Error> {
        self.post(&["issuers"], params, options).await
    }

    /// An issuer.
    pub async fn issuers_get(&self, issuer: IssuerId) -> Result<Issuer, Error> {
        self.get(&["issuers", &issuer.to_string()]).await
    }

    /// Issuers.
    pub async fn issuers_list(&self, page: ListOptions) -> Result<List<Issuer>, Error> {
        self.list(&["issuers"], page.into_query()).await
    }

    /// Changes an issuer by a JSON merge patch (RFC 7396).
    pub async fn issuers_update(&self, issuer: IssuerId, patch: &impl Serialize) -> Result<Issuer, Error> {
        self.patch(&["issuers", &issuer.to_string()], patch).await
    }

    /// Removes an issuer: its tokens are good for nothing, within seconds. Users stay.
    pub async fn issuers_delete(&self, issuer: IssuerId) -> Result<(), Error> {
        self.delete(&["issuers", &issuer.to_string()]).await
    }
}
