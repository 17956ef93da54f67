use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use worker::{Env, Result, State, WebSocket, console_log, web_sys};

use crate::domain::members::{Members, member};
use crate::domain::moment::Moment;
use crate::domain::names::{CommandId, Person, PersonId};
use crate::domain::protocol::{Closing, Code, Command, MAX_FRAME, Refusal, Said, Told};
use crate::domain::quotas::Quotas;
use crate::domain::room::{Effect, Found, MAX_SOCKETS, MAX_SOCKETS_EACH, Room};
use crate::domain::session::Session;
use crate::store::{Retention, Store, json};

#[wasm_bindgen(module = "/src/audience.js")]
extern "C" {
    type Audience;

    #[wasm_bindgen(constructor)]
    fn new() -> Audience;
    #[wasm_bindgen(method)]
    fn add(this: &Audience, socket: &web_sys::WebSocket);
    #[wasm_bindgen(method)]
    fn delete(this: &Audience, socket: &web_sys::WebSocket) -> bool;
    #[wasm_bindgen(method)]
    fn tell(this: &Audience, text: &str, except: Option<&web_sys::WebSocket>) -> Option<Vec<web_sys::WebSocket>>;
}

/// Events that are read from storage at once for somebody who has missed many.
const PAGE: u32 = 500;
/// Between two looks at what is too old, so that it is dropped in numbers. A young retention has its own pace.
const SWEEP: u64 = 3_600_000;

/// A room while its object is awake: what storage and the sockets' attachments say, ready for the next turn.
pub struct Hall {
    store: Store,
    retention: Retention,
    /// None until the first person says hello.
    room: Option<Room>,
    members: Members,
    audience: Audience,
    quotas: Quotas,
}

/// What a socket is known by, also while the object sleeps: its attachment.
#[derive(Serialize, Deserialize)]
pub struct Seat {
    pub session: Session,
    /// Has said hello, and hears the room.
    pub greeted: bool,
}

impl Seat {
    /// As one string: one crossing instead of one a member.
    pub fn attach(&self, socket: &WebSocket) -> Result<()> {
        socket.serialize_attachment(json(self)?)
    }

    fn of(socket: &WebSocket) -> Result<Option<Self>> {
        let seat = socket.deserialize_attachment::<String>()?;
        Ok(seat.map(|seat| serde_json::from_str(&seat)).transpose()?)
    }
}

impl Hall {
    /// Reads the room anew, and tells who has gone meanwhile: a socket may be lost without an event.
    pub fn open(state: &State, env: &Env) -> Result<Self> {
        console_log!(r#"{{"level":"info","event":"room","outcome":"opened"}}"#);
        let store = Store::of(&state.storage());
        let room = store.load()?;
        let (members, audience) = (Members::default(), Audience::new());
        let mut hall =
            Self { store, retention: Retention::of(env)?, room, members, audience, quotas: Quotas::default() };
        for socket in state.get_websockets() {
            let is_open = socket.as_ref().ready_state() == web_sys::WebSocket::OPEN;
            if let Some(Seat { session, greeted: true }) = Seat::of(&socket)?.filter(|_| is_open) {
                hall.members.enter(&session.person);
                hall.audience.add(socket.as_ref());
            }
        }
        if hall.room.is_some() {
            for person in hall.store.present()? {
                if hall.members.find(&person.id).is_none() {
                    hall.absent(&person)?;
                }
            }
        }
        Ok(hall)
    }

    /// Why a person may not come in now; None when they may.
    pub fn admit(&self, state: &State, person: &PersonId, now: Moment) -> Option<Closing> {
        if let Some(until) = self.room.as_ref().and_then(|room| room.banned(person, now)) {
            Some(Closing::Banned(until))
        } else if state.get_websockets_with_tag(person.as_str()).len() >= MAX_SOCKETS_EACH {
            Some(Closing::TooManySockets)
        } else if state.get_websockets().len() >= MAX_SOCKETS {
            Some(Closing::RoomFull)
        } else {
            None
        }
    }

    /// Hears a frame: one turn, from its arrival to the last answer. True when it was a `hello` that was answered.
    pub fn hear(
        &mut self,
        state: &State,
        socket: &WebSocket,
        frame: &str,
        now: Moment,
        epoch: impl FnOnce() -> String,
    ) -> Result<bool> {
        let Some(seat) = Seat::of(socket)? else { return self.expel_one(socket, Closing::Failed) };
        let person = &seat.session.person;
        if seat.session.expires <= now {
            return self.expel_one(socket, Closing::Expired);
        }
        if !self.quotas.frame(&person.id, now) {
            return self.expel_one(socket, Closing::Flooding);
        }
        if frame.len() > MAX_FRAME {
            return self.expel_one(socket, Closing::TooLarge);
        }
        match Said::parse(frame) {
            Ok(Said::Hello { resume_after, epoch: known }) => {
                self.hello(socket, seat, resume_after, known.as_deref(), now, epoch)?;
                return Ok(true);
            }
            Ok(_) if !seat.greeted => refuse(socket, &Refusal::of(frame, Code::HelloFirst)),
            Ok(Said::Typing) if self.quotas.typing(&person.id, now) => {
                self.tell(json(&Told::Typing { person })?, Some(socket))?;
            }
            Ok(Said::Typing) => {}
            Ok(Said::Command(id, command)) => match self.command(state, person, &id, command, now)? {
                Ok(seq) => tell_one(socket, &json(&Told::Ack { id: &id, seq })?),
                Err((code, retry_after_ms)) => refuse(socket, &Refusal { code, id: Some(id), retry_after_ms }),
            },
            Err(refusal) => refuse(socket, &refusal),
        }
        Ok(false)
    }

    fn hello(
        &mut self,
        socket: &WebSocket,
        mut seat: Seat,
        resume_after: Option<u64>,
        known: Option<&str>,
        now: Moment,
        epoch: impl FnOnce() -> String,
    ) -> Result<()> {
        let person = seat.session.person.clone();
        let room = match self.room.take() {
            Some(room) => room,
            None => {
                let room = Room::new(epoch(), person.id.clone(), now);
                self.store.create(&room)?;
                room
            }
        };
        let oldest = self.store.oldest(&room, self.retention, now)?;
        let resume = room.resume(resume_after, known, oldest);
        let (owner, seq) = (room.owner.clone(), room.seq);
        let you = member(&person.id, &person.name, &owner);
        self.room = Some(room);
        if !seat.greeted {
            if self.members.enter(&person) {
                self.store.enter(&person)?;
                self.tell(
                    json(&Told::Presence { person: member(&person.id, &person.name, &owner), online: true })?,
                    None,
                )?;
            }
            seat.greeted = true;
            seat.attach(socket)?;
            self.audience.add(socket.as_ref());
        }
        let epoch = self.room.as_ref().map_or("", |room| room.epoch.as_str());
        let members = self.members.list(&owner);
        tell_one(socket, &json(&Told::Welcome { you, epoch, seq, oldest, gap: resume.gap, members })?);
        let mut after = resume.after;
        while after < seq {
            for event in self.store.following(after, PAGE)? {
                tell_one(socket, &event);
            }
            after += u64::from(PAGE);
        }
        Ok(())
    }

    /// Does what a person asks, once: the number that it has, or why it has none.
    fn command(
        &mut self,
        state: &State,
        by: &Person,
        id: &CommandId,
        command: Command,
        now: Moment,
    ) -> Result<std::result::Result<u64, (Code, Option<u64>)>> {
        let Some(room) = &mut self.room else { return Ok(Err((Code::HelloFirst, None))) };
        if let Some(event) = self.store.done(&by.id, id)? {
            return Ok(if event.is_of(&command) { Ok(event.seq()) } else { Err((Code::IdReused, None)) });
        }
        if let Err(retry_after_ms) = self.quotas.command(&by.id, now) {
            return Ok(Err((Code::RateLimited, Some(retry_after_ms))));
        }
        let found = match &command {
            Command::Send(_) => Found::default(),
            Command::Delete(seq) => Found { target: self.store.target(*seq)?, person: None },
            Command::Kick(person) | Command::Ban(person, _) => {
                let here = self.members.find(person);
                Found { target: None, person: if here.is_some() { here } else { self.store.person(person)? } }
            }
        };
        let decision = match room.decide(by, id.clone(), command, found, now) {
            Ok(decision) => decision,
            Err(code) => return Ok(Err((code, None))),
        };
        let told = json(&decision.event)?;
        self.store.append(&decision, &told, self.retention)?;
        room.apply(&decision.event);
        self.tell(told, None)?;
        if let Some(Effect::Expel(person, closing)) = decision.effect {
            for socket in state.get_websockets_with_tag(person.id.as_str()) {
                self.expel_one(&socket, closing)?;
            }
        }
        Ok(Ok(decision.event.seq()))
    }

    /// A page of the past as JSON; None for who is banned.
    pub fn history(&self, person: &PersonId, before: Option<u64>, limit: u32, now: Moment) -> Result<Option<String>> {
        let Some(room) = &self.room else { return Ok(Some(page(&[], None))) };
        if room.banned(person, now).is_some() {
            return Ok(None);
        }
        let oldest = self.store.oldest(room, self.retention, now)?;
        let end = room.seq + 1;
        let before = before.unwrap_or(end).min(end);
        let events = self.store.preceding(before, oldest, limit)?;
        let first = before.saturating_sub(u64::try_from(events.len()).unwrap_or_default());
        Ok(Some(page(&events, Some(first).filter(|first| *first > oldest))))
    }

    /// The socket hears no more, and neither do others of the person if it was the last.
    pub fn depart(&mut self, socket: &WebSocket) -> Result<()> {
        match self.forget(socket)? {
            Some(presence) => self.tell(presence, None),
            None => Ok(()),
        }
    }

    fn expel_one(&mut self, socket: &WebSocket, closing: Closing) -> Result<bool> {
        close(socket, closing);
        self.depart(socket).map(|()| false)
    }

    /// Tells everybody, but for one. Whose socket cannot be told is gone, and then the others hear of that.
    fn tell(&mut self, text: String, except: Option<&WebSocket>) -> Result<()> {
        let mut news = vec![text];
        while let Some(text) = news.pop() {
            for socket in self.audience.tell(&text, except.map(AsRef::as_ref)).into_iter().flatten() {
                news.extend(self.forget(&WebSocket::from(socket))?);
            }
        }
        Ok(())
    }

    /// Takes a socket out. What others are told, if with it a person has gone.
    fn forget(&mut self, socket: &WebSocket) -> Result<Option<String>> {
        if !self.audience.delete(socket.as_ref()) {
            return Ok(None); // it had not said hello, or was taken out before
        }
        let Some(Seat { session: Session { person, .. }, .. }) = Seat::of(socket)? else { return Ok(None) };
        if !self.members.leave(&person.id) {
            return Ok(None);
        }
        self.gone(&person).map(Some)
    }

    fn absent(&mut self, person: &Person) -> Result<()> {
        let presence = self.gone(person)?;
        self.tell(presence, None)
    }

    fn gone(&self, person: &Person) -> Result<String> {
        self.store.leave(&person.id)?;
        let owner = self.room.as_ref().map_or(&person.id, |room| &room.owner);
        json(&Told::Presence { person: member(&person.id, &person.name, owner), online: false })
    }

    /// Drops what is too old, and says when to look again; None when the room is abandoned: nobody there, and nothing kept.
    pub fn retain(&mut self, state: &State, now: Moment) -> Result<Option<Duration>> {
        let Some(room) = &self.room else { return Ok(None) };
        let Some(oldest) = self.store.retain(room, self.retention, now)? else {
            let is_empty = state.get_websockets().is_empty();
            return Ok((!is_empty).then(|| self.sweep()));
        };
        let due = Duration::from_millis(oldest.plus(self.retention.age).since(now));
        Ok(Some(due.max(self.sweep())))
    }

    pub fn sweep(&self) -> Duration {
        Duration::from_millis(SWEEP.min(self.retention.age))
    }
}

fn page(events: &[String], next_before: Option<u64>) -> String {
    let next = next_before.map_or_else(|| "null".to_owned(), |seq| seq.to_string());
    format!(r#"{{"events":[{}],"next_before":{next}}}"#, events.join(","))
}

/// A socket that is closing cannot be told anything: its close event comes, or has come.
fn tell_one(socket: &WebSocket, text: &str) {
    let _ = socket.send_with_str(text);
}

/// Answers a frame that is not done.
pub fn refuse(socket: &WebSocket, refusal: &Refusal) {
    tell_one(socket, &json(&Told::Error(refusal)).unwrap_or_default());
}

/// Closes a socket; one that is closing already stays as it is.
pub fn close(socket: &WebSocket, closing: Closing) {
    let _ = socket.close(Some(closing.code()), Some(closing.reason()));
}
