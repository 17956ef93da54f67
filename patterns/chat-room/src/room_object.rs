use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use edge_http::fault;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, WebSocket, WebSocketIncomingMessage, WebSocketPair,
    WebSocketRequestResponsePair, console_error, durable_object, web_sys,
};

use crate::domain::ask::Ask;
use crate::domain::moment::Moment;
use crate::domain::names::PersonId;
use crate::domain::protocol::{Closing, Code, Refusal};
use crate::domain::session::Session;
use crate::hall::{Hall, close, refuse};
use crate::seats::Ticket;
use crate::store::json;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

/// One room: the object of its name.
///
/// - A frame is heard in one turn, without an `await` between: what it finds, decides and writes is not mixed with another's, so
///   numbers have no gaps. The runtime lets no frame out before the turn's writes are on disk: what is acknowledged is stored.
/// - Nothing that matters lives only in `self`. Hibernation, abort and deployment end it without a word; the next event builds
///   it anew from storage and from the sockets' attachments ([`Hall::open`]), and so does a turn that failed half-way.
/// - Two writes that belong together are one transaction (`Store::append`).
/// - A panic or a trap is one event's: sockets stay. Had it come between writing and telling, clients see a number jump, or an
///   answer to the command that they send again, and say hello.
/// - No timer runs: an object that nobody speaks to sleeps, with its sockets open. Pings are answered without waking it.
#[durable_object]
pub struct Room {
    state: State,
    env: Env,
    hall: AssertUnwindSafe<RefCell<Option<Hall>>>,
}

impl Room {
    /// One turn. What is in memory is read anew after one that failed, since it may be ahead of storage, or behind it.
    fn turn<T>(&self, turn: impl FnOnce(&mut Hall) -> Result<T>) -> Result<T> {
        let mut hall = self.hall.borrow_mut();
        let done = match &mut *hall {
            Some(hall) => turn(hall),
            None => turn(hall.insert(Hall::open(&self.state, &self.env)?)),
        };
        if done.is_err() {
            *hall = None;
        }
        done
    }

    fn join(&self, session: Session) -> Result<Response> {
        let pair = WebSocketPair::new()?;
        if let Some(closing) = self.turn(|hall| Ok(hall.admit(&self.state, &session.person.id, now())))? {
            // Not as an answer of HTTP, which browsers do not show to a page.
            pair.server.accept()?;
            close(&pair.server, closing);
        } else {
            self.state.accept_websocket_with_tags(&pair.server, &[session.person.id.as_str()]);
            Ticket { session, greeted: false }.attach(&pair.server)?;
        }
        Response::from_websocket(pair.client)
    }

    fn history(&self, person: &PersonId, before: Option<u64>, limit: u32) -> Result<Response> {
        match self.turn(|hall| hall.history(person, before, limit, now()))? {
            Some(page) => {
                let response = Response::ok(page)?;
                response.headers().set("content-type", "application/json")?;
                Ok(response)
            }
            None => Response::error("banned", 403),
        }
    }
}

/// What `entry.mjs` calls of it.
#[wasm_bindgen]
impl Room {
    /// Hears a frame. True when [`Room::look_after`] is to follow.
    ///
    /// Not a future, since it waits for nothing: with one, each message would take several turns of JavaScript's queue.
    pub fn hear(&self, socket: web_sys::WebSocket, frame: &str) -> bool {
        let socket = WebSocket::from(socket);
        let heard = self.turn(|hall| hall.hear(&self.state, &socket, frame, now(), random_uuid));
        heard.unwrap_or_else(|cause| {
            fail(&socket, frame, &cause);
            false
        })
    }

    /// Sees to it that the alarm is set, even if one was lost (it is tried six times).
    #[wasm_bindgen(js_name = lookAfter)]
    pub async fn look_after(&self) -> std::result::Result<(), JsValue> {
        let storage = self.state.storage();
        if storage.get_alarm().await?.is_none() {
            let delay = self.turn(|hall| Ok(hall.sweep()))?;
            storage.set_alarm(delay).await?;
        }
        Ok(())
    }
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        if let Ok(ping) = WebSocketRequestResponsePair::new("ping", "pong") {
            state.set_websocket_auto_response(&ping);
        }
        Self { state, env, hall: AssertUnwindSafe(RefCell::new(None)) }
    }

    /// What the Worker asks.
    async fn fetch(&self, req: Request) -> Result<Response> {
        match req.headers().get(Ask::HEADER)?.as_deref().and_then(Ask::from_header) {
            Some(Ask::Join { session }) => self.join(session),
            Some(Ask::History { person, before, limit }) => self.history(&person, before, limit),
            Some(Ask::Unknown) | None => Response::error("", 501),
        }
    }

    /// Tests only: their failures come before the turn, never inside.
    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        let WebSocketIncomingMessage::String(frame) = message else { return Ok(()) }; // entry.mjs has closed it
        if let Err(cause) = AssertUnwindSafe(fault(&self.env, "room")).await {
            fail(&socket, &frame, &cause);
        } else if self.hear(socket.as_ref().clone(), &frame) {
            self.look_after().await?;
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _reason: String, _clean: bool) -> Result<()> {
        // The other half of the handshake, with the same code where it is one that can be sent (RFC 6455, section 5.5.1).
        let code = u16::try_from(code).ok().filter(|code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999));
        let _ = socket.close(code, None::<&str>);
        self.turn(|hall| hall.depart(&socket))
    }

    async fn websocket_error(&self, socket: WebSocket, _: Error) -> Result<()> {
        close(&socket, Closing::Failed);
        self.turn(|hall| hall.depart(&socket))
    }

    /// Drops what is too old, and the room with the last of it when nobody is there.
    async fn alarm(&self) -> Result<Response> {
        AssertUnwindSafe(fault(&self.env, "room-alarm")).await?;
        if let Some(delay) = self.turn(|hall| hall.retain(&self.state, now()))? {
            self.state.storage().set_alarm(delay).await?;
        } else {
            self.hall.take();
            self.state.storage().delete_all().await?;
        }
        Response::empty()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number, not negative")]
fn now() -> Moment {
    Moment::from_millis(js_sys::Date::now() as u64)
}

/// The log is told why, and the client that it may try again.
fn fail(socket: &WebSocket, frame: &str, cause: &Error) {
    #[derive(Serialize)]
    struct Line<'a> {
        level: &'a str,
        event: &'a str,
        cause: String,
    }
    let line = json(&Line { level: "error", event: "room", cause: cause.to_string() });
    console_error!("{}", line.unwrap_or_default());
    refuse(socket, &Refusal::of(frame, Code::Unavailable));
}
