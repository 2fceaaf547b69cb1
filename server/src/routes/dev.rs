//! Dev mode only: the reference web client, and a token for it without a key.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use headwater_protocol::api::USER_SCOPES;
use headwater_protocol::{ErrorCode, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::dev::page;
use crate::error::ApiError;
use crate::wiring::AppState;

/// Who the page acts as.
#[derive(Debug, Clone, Copy)]
pub struct PageUser {
    /// The demo tenant.
    pub tenant: headwater_protocol::TenantId,
    /// Its user.
    pub user: headwater_protocol::UserId,
}

/// The page's files and its token endpoint.
pub fn routes() -> Router<AppState> {
    let mut router = Router::new().route("/dev/token", post(token));
    for file in page::FILES {
        router = router.route(file.path, get(move || std::future::ready(serve(file))));
    }
    router
}

/// What the page may do: load its own files, and talk to the server it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn serve(file: &'static page::File) -> Response {
    let mut response = file.body.into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, file.content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("content-security-policy"), POLICY),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A user token for the page. Only for the page itself: another site's page, or another name for this machine, gets
/// none.
async fn token(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let same_origin = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let local = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    let origin_fits =
        headers.get(header::ORIGIN).is_none_or(|origin| origin.to_str().is_ok_and(|o| o == format!("http://{host}")));
    if !same_origin || !local || !origin_fits {
        return Err(Problem::new(ErrorCode::OriginNotAllowed, "this endpoint is for the page at / alone").into());
    }
    let Some(page) = state.page_user.get() else {
        return Err(ApiError::new(ErrorCode::Unavailable, "the demo tenant is not there yet"));
    };
    let scopes = USER_SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
    let token = state.auth.tokens.mint(page.tenant, page.user, scopes, None, 900_000)?;
    let mut response = Json(token).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
