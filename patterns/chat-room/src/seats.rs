use std::collections::HashMap;
use std::rc::Rc;

use js_sys::JsString;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use worker::{Result, WebSocket, web_sys};

use crate::domain::members::Members;
use crate::domain::names::Person;
use crate::domain::session::Session;
use crate::store::json;

#[wasm_bindgen(module = "/src/audience.js")]
extern "C" {
    type Audience;

    #[wasm_bindgen(constructor)]
    fn new() -> Audience;
    #[wasm_bindgen(method)]
    fn add(this: &Audience, socket: &web_sys::WebSocket, seat: u32);
    #[wasm_bindgen(method)]
    fn seat(this: &Audience, socket: &web_sys::WebSocket) -> u32;
    #[wasm_bindgen(method)]
    fn delete(this: &Audience, socket: &web_sys::WebSocket);
    #[wasm_bindgen(method)]
    fn tell(this: &Audience, text: &JsString, except: Option<&web_sys::WebSocket>) -> Option<Vec<web_sys::WebSocket>>;
}

/// What a socket is known by, also while the object sleeps: its attachment.
#[derive(Serialize, Deserialize)]
pub struct Ticket {
    pub session: Session,
    /// Has said hello, and hears the room.
    pub greeted: bool,
}

impl Ticket {
    /// As one string: one crossing instead of one a member.
    pub fn attach(&self, socket: &WebSocket) -> Result<()> {
        socket.serialize_attachment(json(self)?)
    }

    /// None for a socket that is closing: frames of it may still be on their way.
    pub fn of(socket: &WebSocket) -> Result<Option<Self>> {
        if socket.as_ref().ready_state() != web_sys::WebSocket::OPEN {
            return Ok(None);
        }
        let ticket = socket.deserialize_attachment::<String>()?;
        Ok(ticket.map(|ticket| serde_json::from_str(&ticket)).transpose()?)
    }
}

/// The sockets that hear the room, and whose they are: what tickets say, at hand for every frame.
pub struct Seats {
    audience: Audience,
    /// By the numbers that `audience` has, from 1 on.
    sessions: HashMap<u32, Rc<Session>>,
    last: u32,
    pub members: Members,
}

impl Seats {
    pub fn new() -> Self {
        Self { audience: Audience::new(), sessions: HashMap::new(), last: 0, members: Members::default() }
    }

    /// Whose socket it is; None for one that has not said hello.
    pub fn of(&self, socket: &WebSocket) -> Option<Rc<Session>> {
        self.sessions.get(&self.audience.seat(socket.as_ref())).cloned()
    }

    /// One socket more that hears the room.
    pub fn sit(&mut self, socket: &WebSocket, session: Rc<Session>) {
        self.last += 1;
        self.audience.add(socket.as_ref(), self.last);
        self.members.enter(&session.person);
        self.sessions.insert(self.last, session);
    }

    /// One socket less, if it heard the room. Who has gone with it, if it was their last.
    pub fn rise(&mut self, socket: &WebSocket) -> Option<Person> {
        let session = self.sessions.remove(&self.audience.seat(socket.as_ref()))?;
        self.audience.delete(socket.as_ref());
        self.members.leave(&session.person.id).then(|| session.person.clone())
    }

    /// Tells everybody, but for one. Who has gone, since none of their sockets could be told.
    pub fn tell(&mut self, text: &JsString, except: Option<&WebSocket>) -> Vec<Person> {
        let lost = self.audience.tell(text, except.map(AsRef::as_ref)).unwrap_or_default();
        lost.into_iter().filter_map(|socket| self.rise(&socket.into())).collect()
    }
}
