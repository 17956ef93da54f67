use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use edge_http::{fault, provoke};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, WebSocket, WebSocketPair,
    WebSocketRequestResponsePair, console_error, durable_object, web_sys,
};

use crate::connections::Attachment;
use crate::domain::ask::Ask;
use crate::domain::names::PersonId;
use crate::domain::protocol::{Closing, Code, Refusal};
use crate::domain::session::Session;
use crate::live_room::{LiveRoom, refuse};
use crate::platform::{now, random_uuid};
use crate::store::json;

/// One room: the object of its name.
///
/// - A frame is heard in one turn, without an `await` between: what it finds, decides and writes is not mixed with another's, so
///   numbers have no gaps. The runtime lets no frame out before the turn's writes are on disk: what is acknowledged is stored.
/// - Nothing that matters lives only in `self`. Hibernation, abort and deployment end it without a word; the next event builds
///   it anew from storage and from the sockets' attachments ([`LiveRoom::open`]), and so does a turn that failed half-way.
/// - Two writes that belong together are one transaction (`Store::append`).
/// - A panic or a trap is one event's: sockets stay. Had it come between writing and telling, clients see a number jump, or an
///   answer to the command that they send again, and say hello.
/// - No timer runs: an object that nobody speaks to sleeps, with its sockets open. Pings are answered without waking it.
#[durable_object]
pub struct Room {
    state: State,
    env: Env,
    live: AssertUnwindSafe<RefCell<Option<LiveRoom>>>,
}

impl Room {
    /// One turn. What is in memory is read anew after one that failed, since it may be ahead of storage, or behind it.
    fn turn<T>(&self, turn: impl FnOnce(&mut LiveRoom) -> Result<T>) -> Result<T> {
        let mut live = self.live.borrow_mut();
        let done = match &mut *live {
            Some(room) => turn(room),
            None => turn(live.insert(LiveRoom::open(&self.state, &self.env)?)),
        };
        if done.is_err() {
            *live = None;
        }
        done
    }

    fn join(&self, session: Session) -> Result<Response> {
        if let Some(closing) = self.turn(|room| room.admit(&self.state, &session.person.id, now()))? {
            let response = Response::error("", 403)?;
            response.headers().set(Ask::REFUSED, &closing.to_string())?;
            return Ok(response);
        }
        let pair = WebSocketPair::new()?;
        self.state.accept_websocket_with_tags(&pair.server, &[session.person.id.as_str()]);
        Attachment { session, joined: now(), greeted: false }.attach(&pair.server)?;
        Response::from_websocket(pair.client)
    }

    fn history(&self, person: &PersonId, before: Option<u64>, limit: u32) -> Result<Response> {
        match self.turn(|room| room.history(person, before, limit, now()))? {
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
    /// A text frame. True when it was a `hello`: then [`Room::ensure_alarm`] is to follow. `armed` is what tests want to fail.
    ///
    /// Not a future, since it waits for nothing: with one, each message would take several turns of JavaScript's queue.
    pub fn receive(&self, socket: web_sys::WebSocket, frame: &str, armed: Option<String>) -> bool {
        let socket = WebSocket::from(socket);
        let received = provoke(armed.as_deref(), "room")
            .and_then(|()| self.turn(|room| room.receive(&self.state, &socket, frame, now(), random_uuid)));
        received.unwrap_or_else(|cause| {
            log(&cause);
            refuse(&socket, &Refusal::of(frame, Code::Unavailable));
            false
        })
    }

    /// A frame that is not let into wasm: too large, or binary.
    pub fn refuse(&self, socket: web_sys::WebSocket, is_too_large: bool) -> std::result::Result<(), JsValue> {
        let closing = if is_too_large { Closing::TooLarge } else { Closing::Binary };
        Ok(self.turn(|room| room.expel(&socket.into(), closing))?)
    }

    /// The room is looked after, even if an alarm was lost (it is tried six times).
    #[wasm_bindgen(js_name = ensureAlarm)]
    pub async fn ensure_alarm(&self) -> std::result::Result<(), JsValue> {
        let storage = self.state.storage();
        if storage.get_alarm().await?.is_none() {
            let delay = self.turn(|room| Ok(room.sweep()))?;
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
        Self { state, env, live: AssertUnwindSafe(RefCell::new(None)) }
    }

    /// What the Worker asks.
    async fn fetch(&self, req: Request) -> Result<Response> {
        match req.headers().get(Ask::HEADER)?.as_deref().and_then(Ask::from_header) {
            Some(Ask::Join { session }) => self.join(session),
            Some(Ask::History { person, before, limit }) => self.history(&person, before, limit),
            Some(Ask::Unknown) | None => Response::error("", 501),
        }
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _reason: String, _clean: bool) -> Result<()> {
        // The other half of the handshake, with the same code where it is one that can be sent (RFC 6455, section 5.5.1).
        let code = u16::try_from(code).ok().filter(|code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999));
        let _ = socket.close(code, None::<&str>);
        self.turn(|room| room.leave(&socket))
    }

    async fn websocket_error(&self, socket: WebSocket, _: Error) -> Result<()> {
        self.turn(|room| room.leave(&socket))
    }

    /// Drops what is too old, and the room with the last of it when nobody is there.
    async fn alarm(&self) -> Result<Response> {
        AssertUnwindSafe(fault(&self.env, "room-alarm")).await?;
        if let Some(delay) = self.turn(|room| room.retain(&self.state, now()))? {
            self.state.storage().set_alarm(delay).await?;
        } else {
            self.live.take();
            self.state.storage().delete_all().await?;
        }
        Response::empty()
    }
}

fn log(cause: &Error) {
    #[derive(Serialize)]
    struct Line<'a> {
        level: &'a str,
        event: &'a str,
        cause: String,
    }
    let line = json(&Line { level: "error", event: "room", cause: cause.to_string() });
    console_error!("{}", line.unwrap_or_default());
}
