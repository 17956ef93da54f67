use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use edge_http::{JsonObject, Raw, Trace, within};
use serde::{Deserialize, Serialize};
use worker::Env;

use crate::config::Bindings;
use crate::domain::ask::Ask;
use crate::domain::names::{Name, Person, PersonId, RoomId};
use crate::domain::protocol::SUB_PROTOCOL;
use crate::domain::session::{LIFETIME, Session};
use crate::error::Error;
use crate::platform::{now, random_uuid};

/// Bytes of the largest body: a name.
const MAX_BODY: usize = 1024;
/// Events of the largest page of history, and of one when nobody says how many.
const MAX_PAGE: u32 = 200;
const PAGE: u32 = 50;
/// Seconds of the rate limit's window that `wrangler.toml` sets, for `Retry-After`.
pub const PERIOD: &str = "60";
/// How long the rate limit's count is waited for; it is kept near.
const LIMITER_TIMEOUT: Duration = Duration::from_secs(5);

pub fn router(env: &Env) -> worker::Result<Router> {
    Ok(Router::new()
        .route("/session", post(sign_in).get(who).delete(sign_out))
        .route("/rooms/{room}/socket", get(socket))
        .route("/rooms/{room}/history", get(history))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Bindings::of(env)?)))
}

#[derive(Deserialize)]
struct SignIn {
    name: Name,
}

#[derive(Serialize)]
struct SignedIn {
    token: String,
    #[serde(flatten)]
    session: Session,
}

/// `POST /session`: a guest's session, in the answer and in a cookie. A new person each time, whoever asks.
#[worker::send]
async fn sign_in(
    State(bindings): State<Arc<Bindings>>,
    site: Site,
    Json(JsonObject(SignIn { name })): Json<JsonObject<SignIn>>,
) -> Result<([(HeaderName, String); 1], Json<SignedIn>), Error> {
    site.limit(&bindings).await?;
    let id = PersonId::try_from(random_uuid()).map_err(|why| Error::Unavailable(why.into()))?;
    let (token, session) = bindings.secrets.issue(Person { id, name }, now());
    Ok(([(header::SET_COOKIE, site.cookie(&token, LIFETIME / 1000))], Json(SignedIn { token, session })))
}

/// `GET /session`: who the session is of.
async fn who(Visitor { session, .. }: Visitor) -> Json<Session> {
    Json(session)
}

/// `DELETE /session`: takes the cookie away.
async fn sign_out(site: Site) -> (StatusCode, [(HeaderName, String); 1]) {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, site.cookie("", 0))])
}

/// `GET /rooms/{room}/socket`: 101. Why somebody may not come in is said when the socket is open, by a close code.
#[worker::send]
async fn socket(
    State(bindings): State<Arc<Bindings>>,
    Path(room): Path<String>,
    headers: HeaderMap,
    site: Site,
    visitor: Visitor,
    trace: Trace,
) -> Result<([(HeaderName, &'static str); 1], Raw), Error> {
    let room = RoomId::try_from(room).map_err(Error::BadRoom)?;
    if !has(&headers, header::UPGRADE, |upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return Err(Error::NotAnUpgrade);
    }
    // A browser always says where its page is from, and sends its cookies whatever page that is.
    if !visitor.by_authorization && site.origin.is_none() {
        return Err(Error::ForeignOrigin);
    }
    if !has(&headers, header::SEC_WEBSOCKET_PROTOCOL, |offered| offered == SUB_PROTOCOL) {
        return Err(Error::NoSubProtocol);
    }
    site.limit(&bindings).await?;
    let socket = bindings.rooms.join(&room, &Ask::Join { session: visitor.session }, &trace).await?;
    Ok(([(header::SEC_WEBSOCKET_PROTOCOL, SUB_PROTOCOL)], socket))
}

#[derive(Deserialize)]
struct Page {
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET /rooms/{room}/history`: 200, also for a room that nobody has been to.
#[worker::send]
async fn history(
    State(bindings): State<Arc<Bindings>>,
    Path(room): Path<String>,
    Query(Page { before, limit }): Query<Page>,
    site: Site,
    Visitor { session, .. }: Visitor,
    trace: Trace,
) -> Result<([(HeaderName, &'static str); 1], Raw), Error> {
    let room = RoomId::try_from(room).map_err(Error::BadRoom)?;
    let limit = limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    site.limit(&bindings).await?;
    let page =
        bindings.rooms.history(&room, &Ask::History { person: session.person.id, before, limit }, &trace).await?;
    Ok(([(header::CACHE_CONTROL, "private, no-store")], page))
}

/// From where a request comes. Refuses pages of other origins.
struct Site {
    origin: Option<String>,
    is_https: bool,
    /// Of whom to count requests.
    address: String,
}

impl<S: Sync> FromRequestParts<S> for Site {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let text = |name: HeaderName| {
            parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let origin = text(header::ORIGIN);
        if origin.as_ref().is_some_and(|origin| !origin.eq_ignore_ascii_case(&own_origin(&parts.uri))) {
            return Err(Error::ForeignOrigin);
        }
        let address = text(HeaderName::from_static("cf-connecting-ip")).map(network).unwrap_or_default();
        Ok(Self { origin, is_https: is_https(&parts.uri), address })
    }
}

impl Site {
    /// Counted for each location of Cloudflare's, and approximately: it slows those who ask by the thousand.
    async fn limit(&self, bindings: &Bindings) -> Result<(), Error> {
        let outcome = within(LIMITER_TIMEOUT, bindings.limiter.limit(self.address.clone())).await;
        if outcome.map_err(Error::Unavailable)?.success { Ok(()) } else { Err(Error::TooMany) }
    }

    /// Only this very host sets and gets it, no page can read it, and no other site's page can have it sent.
    fn cookie(&self, token: &str, seconds: u64) -> String {
        let secure = if self.is_https { "; Secure" } else { "" };
        let name = cookie_name(self.is_https);
        format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// Who asks: of a session that was proven, in `Authorization`, in a sub-protocol, or in the cookie.
struct Visitor {
    session: Session,
    by_authorization: bool,
}

impl FromRequestParts<Arc<Bindings>> for Visitor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, bindings: &Arc<Bindings>) -> Result<Self, Error> {
        Site::from_request_parts(parts, bindings).await?;
        let bearer = list(&parts.headers, header::AUTHORIZATION, ',').find_map(|offered| {
            let (scheme, token) = offered.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
        });
        let offered = || {
            list(&parts.headers, header::SEC_WEBSOCKET_PROTOCOL, ',').find(|offered| !offered.starts_with("edge-chat."))
        };
        let name = cookie_name(is_https(&parts.uri));
        let cookie = || {
            list(&parts.headers, header::COOKIE, ';').find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='))
        };
        let token = bearer.or_else(offered).or_else(cookie).ok_or(Error::Anonymous)?;
        let session = bindings.secrets.verify(token, now()).ok_or(Error::Anonymous)?;
        Ok(Self { session, by_authorization: bearer.is_some() })
    }
}

/// Whom an address stands for: of IPv6 one customer has a whole /64, at least.
fn network(address: String) -> String {
    match address.parse() {
        Ok(IpAddr::V6(v6)) => format!("{:x?}", v6.segments().split_at(4).0),
        _ => address,
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

fn own_origin(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |authority| authority.as_str()))
}

/// A browser takes the prefix from the very host and over TLS only, so that no other one of the domain can plant a session.
fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-session" } else { "session" }
}

/// The elements of a field that is a list.
fn list(headers: &HeaderMap, name: HeaderName, separator: char) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(move |value| value.split(separator))
        .map(str::trim)
}

fn has(headers: &HeaderMap, name: HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    list(headers, name, ',').any(is_it)
}
