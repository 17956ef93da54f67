use std::time::Duration;

use edge_http::http::request::Builder;
use edge_http::http::{Request, header};
use edge_http::{Bytes, Raw, StatusCode, Trace, within};
use wasm_bindgen::JsValue;
use worker::{ObjectNamespace, Response, Result, WebSocketPair};

use crate::domain::ask::Ask;
use crate::domain::names::RoomId;
use crate::domain::protocol::Closing;
use crate::error::Error;

/// How long an object is waited for; it takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Leads nowhere: the object is the one that the stub is of.
const URL: &str = "http://room/";

/// The objects, by the names of their rooms. A stub is taken for each call: after an exception the old one only repeats it.
pub struct Rooms(pub ObjectNamespace);

impl Rooms {
    /// A socket in the room. Never tried again here: the client does that, and resumes.
    pub async fn join(&self, room: &RoomId, ask: &Ask, trace: &Trace) -> std::result::Result<Raw, Error> {
        let answer = self
            .ask(room, ask, Request::get(URL).header(header::UPGRADE, "websocket"), trace)
            .await
            .map_err(Error::Unavailable)?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => Ok(answer),
            StatusCode::FORBIDDEN => turn_away(answer).map_err(Error::Unavailable),
            _ => Err(unexpected(&answer)),
        }
    }

    /// A page of the past. Asked once more when the object was lost on the way: reading changes nothing.
    pub async fn history(&self, room: &RoomId, ask: &Ask, trace: &Trace) -> std::result::Result<Raw, Error> {
        let answer = match self.ask(room, ask, Request::get(URL), trace).await {
            // An object that has too much to do gets no more of it (`overloaded`, of Cloudflare's errors).
            Err(cause) if !cause.to_string().contains("overloaded") => {
                self.ask(room, ask, Request::get(URL), trace).await
            }
            answer => answer,
        };
        let answer = answer.map_err(Error::Unavailable)?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::FORBIDDEN => Err(Error::Banned),
            _ => Err(unexpected(&answer)),
        }
    }

    async fn ask(&self, room: &RoomId, ask: &Ask, request: Builder, trace: &Trace) -> Result<Raw> {
        let stub: JsValue = self.0.get_by_name(room.as_str())?.into_rpc();
        within(TIMEOUT, trace.fetch(&stub, request.header(Ask::HEADER, ask.to_header()), Bytes::new())).await
    }
}

/// A socket that is closed with the room's reason: an answer of HTTP is not shown to a page by its browser. It is not the
/// object's, which could not sleep before the client has answered the close.
fn turn_away(answer: Raw) -> Result<Raw> {
    let refused = Response::from(answer).headers().get(Ask::REFUSED)?.unwrap_or_default();
    let (code, reason) = Closing::parse(&refused).ok_or("the room refuses without a reason")?;
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    pair.server.close(Some(code), Some(reason))?;
    Ok(Response::from_websocket(pair.client)?.into())
}

/// 501 for one: the object is of another version than this Worker, for a moment.
fn unexpected(answer: &Raw) -> Error {
    Error::Unavailable(worker::Error::RustError(format!("the room answers {}", answer.status())))
}
