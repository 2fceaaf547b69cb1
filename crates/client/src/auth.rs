//! Credentials: a fixed bearer, or a provider of user tokens.
//!
//! Promises that one expired token makes one call of the provider, however many streams find out at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use crate::Error;

/// Any error of the caller's own.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

type TokenFuture = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// A token with its number: the number tells whether somebody else has renewed it already.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    generation: u64,
}

/// Where the `Authorization` header comes from.
#[derive(Clone)]
pub(crate) enum Auth {
    /// No credential.
    None,
    /// A key, or a token that nobody renews.
    Fixed(Token),
    /// Tokens on demand.
    Provider(Arc<Provider>),
}

/// Asks the application for tokens, one call at a time.
pub(crate) struct Provider {
    ask: Box<dyn Fn() -> TokenFuture + Send + Sync>,
    // tokio's, because it is held while the application is asked: that is what makes it one call.
    current: Mutex<Option<Token>>,
}

impl Auth {
    pub(crate) fn fixed(secret: &str) -> Result<Self, Error> {
        Ok(Self::Fixed(token(secret, 0)?))
    }

    pub(crate) fn provider<F, Fut, E>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let ask = move || {
            let answer = ask();
            Box::pin(async move { answer.await.map_err(Into::into) }) as TokenFuture
        };
        Self::Provider(Arc::new(Provider { ask: Box::new(ask), current: Mutex::new(None) }))
    }

    /// The token to send, or none.
    pub(crate) async fn token(&self) -> Result<Option<Token>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(token) => Ok(Some(token.clone())),
            Self::Provider(provider) => {
                let mut current = provider.current.lock().await;
                let token = match &*current {
                    Some(token) => token.clone(),
                    None => provider.ask(0).await?,
                };
                Ok(Some(current.insert(token).clone()))
            }
        }
    }

    /// The token to renew, where that can be done.
    pub(crate) fn renewable(&self, sent: Option<Token>) -> Option<Token> {
        sent.filter(|_| matches!(self, Self::Provider(_)))
    }

    /// Renews `stale`, unless that has happened already.
    pub(crate) async fn renew(&self, stale: &Token) -> Result<(), Error> {
        if let Self::Provider(provider) = self {
            let mut current = provider.current.lock().await;
            if current.as_ref().is_none_or(|current| current.generation == stale.generation) {
                *current = Some(provider.ask(stale.generation + 1).await?);
            }
        }
        Ok(())
    }
}

impl Provider {
    async fn ask(&self, generation: u64) -> Result<Token, Error> {
        token(&(self.ask)().await.map_err(Error::Token)?, generation)
    }
}

fn token(secret: &str, generation: u64) -> Result<Token, Error> {
    let mut header = HeaderValue::try_from(format!("Bearer {secret}"))
        .map_err(|_| Error::Config("the credential holds characters that no header can".into()))?;
    header.set_sensitive(true);
    Ok(Token { header, generation })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_expired_token_is_renewed_once() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let auth = Auth::provider(move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<_, BoxError>(format!("t{number}")) }
        });
        let first = auth.token().await.expect("a token").expect("a token");
        for _ in 0..3 {
            auth.renew(&first).await.expect("renewed");
        }
        let second = auth.token().await.expect("a token").expect("a token");
        assert_eq!((second.header.to_str().ok(), asked.load(Ordering::Relaxed)), (Some("Bearer t1"), 2));
        auth.renew(&second).await.expect("renewed");
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
