use std::collections::HashMap;
use std::rc::Rc;

use js_sys::JsString;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use worker::{Result, WebSocket, web_sys};

use crate::domain::members::Members;
use crate::domain::moment::Moment;
use crate::domain::names::Person;
use crate::domain::session::Session;
use crate::store::json;

#[wasm_bindgen(module = "/src/sockets.js")]
extern "C" {
    type Sockets;

    #[wasm_bindgen(constructor)]
    fn new() -> Sockets;
    #[wasm_bindgen(method)]
    fn add(this: &Sockets, socket: &web_sys::WebSocket, key: u32);
    #[wasm_bindgen(method)]
    fn key(this: &Sockets, socket: &web_sys::WebSocket) -> u32;
    #[wasm_bindgen(method)]
    fn delete(this: &Sockets, socket: &web_sys::WebSocket);
    #[wasm_bindgen(method)]
    fn broadcast(
        this: &Sockets,
        text: &JsString,
        except: Option<&web_sys::WebSocket>,
    ) -> Option<Vec<web_sys::WebSocket>>;
}

/// What a socket is known by, also while the object sleeps: its attachment.
#[derive(Serialize, Deserialize)]
pub struct Attachment {
    pub session: Session,
    /// When it came; once it has said hello, when it did.
    pub joined: Moment,
    /// Has said hello, and hears the room.
    pub greeted: bool,
}

impl Attachment {
    /// As one string: one crossing instead of one a member.
    pub fn attach(&self, socket: &WebSocket) -> Result<()> {
        socket.serialize_attachment(json(self)?)
    }

    /// None for a socket that is closing: frames of it may still be on their way.
    pub fn of(socket: &WebSocket) -> Result<Option<Self>> {
        if !is_open(socket) {
            return Ok(None);
        }
        let attachment = socket.deserialize_attachment::<String>()?;
        Ok(attachment.map(|attachment| serde_json::from_str(&attachment)).transpose()?)
    }
}

/// Not one that we have closed: its client may never answer that.
pub fn is_open(socket: &WebSocket) -> bool {
    socket.as_ref().ready_state() == web_sys::WebSocket::OPEN
}

/// The sockets that hear the room, and whose they are: what attachments say, at hand for every frame.
pub struct Connections {
    sockets: Sockets,
    /// By the numbers that `sockets` has, from 1 on.
    sessions: HashMap<u32, Rc<Session>>,
    last: u32,
    pub members: Members,
}

impl Connections {
    pub fn new() -> Self {
        Self { sockets: Sockets::new(), sessions: HashMap::new(), last: 0, members: Members::default() }
    }

    /// Whose socket it is; None for one that has not said hello.
    pub fn session_of(&self, socket: &WebSocket) -> Option<Rc<Session>> {
        self.sessions.get(&self.sockets.key(socket.as_ref())).cloned()
    }

    /// One socket more that hears the room.
    pub fn add(&mut self, socket: &WebSocket, session: Rc<Session>) {
        self.last += 1;
        self.sockets.add(socket.as_ref(), self.last);
        self.members.enter(&session.person);
        self.sessions.insert(self.last, session);
    }

    /// One socket less, if it heard the room. Who has gone with it, if it was their last.
    pub fn remove(&mut self, socket: &WebSocket) -> Option<Person> {
        let session = self.sessions.remove(&self.sockets.key(socket.as_ref()))?;
        self.sockets.delete(socket.as_ref());
        self.members.leave(&session.person.id).then(|| session.person.clone())
    }

    /// Tells everybody, but for one. Who has gone, since none of their sockets could be told.
    pub fn broadcast(&mut self, text: &JsString, except: Option<&WebSocket>) -> Vec<Person> {
        let lost = self.sockets.broadcast(text, except.map(AsRef::as_ref)).unwrap_or_default();
        lost.into_iter().filter_map(|socket| self.remove(&socket.into())).collect()
    }
}
