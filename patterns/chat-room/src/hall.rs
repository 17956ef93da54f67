use std::rc::Rc;
use std::time::Duration;

use js_sys::JsString;
use serde::Serialize;
use worker::{Env, Result, State, WebSocket, console_log};

use crate::domain::members::member;
use crate::domain::moment::Moment;
use crate::domain::names::{CommandId, Person, PersonId};
use crate::domain::protocol::{Closing, Code, Command, Hello, MAX_FRAME, Refusal, Said, Told};
use crate::domain::quotas::Quotas;
use crate::domain::room::{Effect, Found, MAX_SOCKETS, MAX_SOCKETS_EACH, Room};
use crate::domain::session::Session;
use crate::seats::{Seats, Ticket};
use crate::store::{Retention, Store, json};

/// Events that are read from storage at once for somebody who has missed many.
const PAGE: u32 = 500;
/// Milliseconds between two looks at what is too old, so that it is dropped in numbers. A young retention has its own pace.
const SWEEP: u64 = 3_600_000;

/// A room while its object is awake: what storage and the sockets' tickets say, ready for the next turn.
pub struct Hall {
    store: Store,
    retention: Retention,
    /// None until the first person says hello.
    room: Option<Room>,
    seats: Seats,
    quotas: Quotas,
}

impl Hall {
    /// Reads the room anew, and tells who has gone meanwhile: a socket may be lost without an event.
    pub fn open(state: &State, env: &Env) -> Result<Self> {
        console_log!(r#"{{"level":"info","event":"room","outcome":"opened"}}"#);
        let store = Store::of(&state.storage());
        let (room, retention) = (store.load()?, Retention::of(env)?);
        let mut hall = Self { store, retention, room, seats: Seats::new(), quotas: Quotas::default() };
        for socket in state.get_websockets() {
            if let Some(Ticket { session, greeted: true }) = Ticket::of(&socket)? {
                hall.seats.sit(&socket, Rc::new(session));
            }
        }
        if hall.room.is_some() {
            let mut gone = hall.store.present()?;
            gone.retain(|person| hall.seats.members.find(&person.id).is_none());
            hall.miss(gone)?;
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

    /// Hears a frame: one turn, from its arrival to the last answer. True when it was a `hello`. `random` names a new room's life.
    pub fn hear(
        &mut self,
        state: &State,
        socket: &WebSocket,
        frame: &str,
        now: Moment,
        random: fn() -> String,
    ) -> Result<bool> {
        let seated = self.seats.of(socket);
        let has_said_hello = seated.is_some();
        let session = match seated {
            Some(session) => session,
            None => match Ticket::of(socket)? {
                Some(ticket) => Rc::new(ticket.session),
                None => return Ok(false),
            },
        };
        let person = &session.person;
        let closing = if session.expires <= now {
            Some(Closing::Expired)
        } else if !self.quotas.frame(&person.id, now) {
            Some(Closing::Flooding)
        } else if frame.len() > MAX_FRAME {
            Some(Closing::TooLarge)
        } else {
            None
        };
        if let Some(closing) = closing {
            close(socket, closing);
            self.depart(socket)?;
            return Ok(false);
        }
        match Said::parse(frame) {
            Ok(Said::Hello(hello)) => {
                self.hello(socket, &session, &hello, now, random)?;
                return Ok(true);
            }
            Ok(_) if !has_said_hello => refuse(socket, &Refusal::of(frame, Code::HelloFirst)),
            Ok(Said::Typing) if self.quotas.typing(&person.id, now) => {
                self.tell(&js(&Told::Typing { person })?, Some(socket))?;
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

    /// Says what the room is, and what its client has missed. The first `hello` ever makes the room; the first one of a socket
    /// gives it a seat.
    fn hello(
        &mut self,
        socket: &WebSocket,
        session: &Rc<Session>,
        hello: &Hello,
        now: Moment,
        random: fn() -> String,
    ) -> Result<()> {
        let person = &session.person;
        let room = match &mut self.room {
            Some(room) => room,
            none => {
                let room = Room::new(random(), person.id.clone(), now);
                self.store.create(&room)?;
                none.insert(room)
            }
        };
        let mut gone = vec![];
        if self.seats.of(socket).is_none() {
            if self.seats.members.find(&person.id).is_none() {
                self.store.enter(person)?;
                gone =
                    self.seats.tell(&js(&Told::Presence { person: member(person, &room.owner), online: true })?, None);
            }
            Ticket { session: Session::clone(session), greeted: true }.attach(socket)?;
            self.seats.sit(socket, session.clone());
        }
        let oldest = self.store.oldest(room, self.retention, now)?;
        let resume = room.resume(hello.resume_after, hello.epoch.as_deref(), oldest);
        let welcome = Told::Welcome {
            you: member(person, &room.owner),
            epoch: &room.epoch,
            seq: room.seq,
            oldest,
            gap: resume.gap,
            members: self.seats.members.list().map(|person| member(person, &room.owner)).collect(),
        };
        tell_one(socket, &json(&welcome)?);
        let mut after = resume.after;
        while after < room.seq {
            for event in self.store.following(after, PAGE)? {
                tell_one(socket, &event);
            }
            after += u64::from(PAGE);
        }
        self.miss(gone)
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
                let here = self.seats.members.find(person).cloned();
                Found { target: None, person: if here.is_some() { here } else { self.store.person(person)? } }
            }
        };
        let decision = match room.decide(by, id.clone(), command, found, now) {
            Ok(decision) => decision,
            Err(code) => return Ok(Err((code, None))),
        };
        let told = js(&decision.event)?;
        self.store.append(&decision, &told, self.retention)?;
        room.apply(&decision.event);
        self.tell(&told, None)?;
        if let Some(Effect::Expel(person, closing)) = decision.effect {
            for socket in state.get_websockets_with_tag(person.id.as_str()) {
                close(&socket, closing);
                self.depart(&socket)?;
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
        let first = before.saturating_sub(limit.into()).max(oldest);
        let events = self.store.between(first, before)?;
        Ok(Some(page(&events, (oldest..before).contains(&(first - 1)).then_some(first))))
    }

    /// The socket hears no more, and others hear of it if a person has gone with it.
    pub fn depart(&mut self, socket: &WebSocket) -> Result<()> {
        let gone = self.seats.rise(socket);
        self.miss(gone.into_iter().collect())
    }

    fn tell(&mut self, text: &JsString, except: Option<&WebSocket>) -> Result<()> {
        let gone = self.seats.tell(text, except);
        self.miss(gone)
    }

    /// Tells who has gone; and who has gone is found out by telling.
    fn miss(&mut self, mut gone: Vec<Person>) -> Result<()> {
        let Some(room) = &self.room else { return Ok(()) };
        while let Some(person) = gone.pop() {
            self.store.leave(&person.id)?;
            let presence = Told::Presence { person: member(&person, &room.owner), online: false };
            gone.extend(self.seats.tell(&js(&presence)?, None));
        }
        Ok(())
    }

    /// Drops what is too old, and says when to look again; None when the room is abandoned: nobody there, and nothing kept.
    pub fn retain(&self, state: &State, now: Moment) -> Result<Option<Duration>> {
        let Some(room) = &self.room else { return Ok(None) };
        let Some(oldest) = self.store.retain(room, self.retention, now)? else {
            let is_empty = state.get_websockets().is_empty();
            return Ok((!is_empty).then(|| self.sweep()));
        };
        let due = Duration::from_millis(oldest.plus(self.retention.age).since(now));
        Ok(Some(due.max(self.sweep())))
    }

    /// How long to wait at least until the next look.
    pub fn sweep(&self) -> Duration {
        Duration::from_millis(SWEEP.min(self.retention.age))
    }
}

/// As a string of JavaScript, since it is to be used there more than once.
fn js(value: &impl Serialize) -> Result<JsString> {
    json(value).map(JsString::from)
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
