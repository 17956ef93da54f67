use std::rc::Rc;
use std::time::Duration;

use js_sys::JsString;
use serde::Serialize;
use worker::{Env, Result, State, WebSocket, console_log};

use crate::connections::{Attachment, Connections, is_open};
use crate::domain::members::member;
use crate::domain::moment::Moment;
use crate::domain::names::{CommandId, Person, PersonId};
use crate::domain::protocol::{Closing, Code, Command, Hello, MAX_FRAME, Refusal, Said, Told};
use crate::domain::quotas::Quotas;
use crate::domain::room::{Effect, Found, MAX_SOCKETS, MAX_SOCKETS_EACH, Room};
use crate::domain::session::Session;
use crate::store::{Retention, Store, json};

/// Events that are read from storage at once for somebody who has missed many.
const PAGE: u32 = 500;
/// More events than so many are a long story, and for those there is a limit.
const LONG: u64 = 100;
/// Milliseconds in which a client says hello, when its place is wanted.
const SILENT: u64 = 10_000;
/// Milliseconds between two looks at what is too old, so that it is dropped in numbers. A young retention has its own pace.
const SWEEP: u64 = 3_600_000;

/// A room while its object is awake: what storage and the sockets' attachments say, ready for the next turn.
pub struct LiveRoom {
    store: Store,
    retention: Retention,
    /// None until the first person says hello.
    room: Option<Room>,
    connections: Connections,
    quotas: Quotas,
}

impl LiveRoom {
    /// Reads the room anew, and tells who has gone meanwhile: a socket may be lost without an event.
    pub fn open(state: &State, env: &Env) -> Result<Self> {
        console_log!(r#"{{"level":"info","event":"room","outcome":"opened"}}"#);
        let store = Store::of(&state.storage());
        let (room, retention) = (store.load()?, Retention::of(env)?);
        let mut live = Self { store, retention, room, connections: Connections::new(), quotas: Quotas::default() };
        for socket in state.get_websockets() {
            if let Some(Attachment { session, greeted: true, .. }) = Attachment::of(&socket)? {
                live.connections.add(&socket, Rc::new(session));
            }
        }
        if live.room.is_some() {
            let mut gone = live.store.present()?;
            gone.retain(|person| live.connections.members.find(&person.id).is_none());
            live.announce_gone(gone)?;
        }
        Ok(live)
    }

    /// Why a person may not come in now; None when they may.
    pub fn admit(&self, state: &State, person: &PersonId, now: Moment) -> Result<Option<Closing>> {
        if let Some(until) = self.banned(person, now) {
            return Ok(Some(Closing::Banned(until)));
        }
        if state.get_websockets_with_tag(person.as_str()).iter().filter(|socket| is_open(socket)).count()
            >= MAX_SOCKETS_EACH
        {
            return Ok(Some(Closing::TooManySockets));
        }
        let mut open: Vec<_> = state.get_websockets().into_iter().filter(is_open).collect();
        if open.len() < MAX_SOCKETS {
            return Ok(None);
        }
        // Places are for those who have said hello.
        for socket in &open {
            if let Some(Attachment { joined, greeted: false, .. }) = Attachment::of(socket)?
                && now.since(joined) > SILENT
            {
                close(socket, Closing::RoomFull);
            }
        }
        open.retain(is_open);
        Ok((open.len() >= MAX_SOCKETS).then_some(Closing::RoomFull))
    }

    fn banned(&self, person: &PersonId, now: Moment) -> Option<Moment> {
        self.room.as_ref()?.banned(person, now)
    }

    /// Hears a frame: one turn, from its arrival to the last answer. True when it was a `hello`. `random` names a new room's life.
    pub fn receive(
        &mut self,
        state: &State,
        socket: &WebSocket,
        frame: &str,
        now: Moment,
        random: fn() -> String,
    ) -> Result<bool> {
        let known = self.connections.session_of(socket);
        let has_said_hello = known.is_some();
        let session = match known {
            Some(session) => session,
            None => match Attachment::of(socket)? {
                Some(attachment) => Rc::new(attachment.session),
                None => return Ok(false),
            },
        };
        let person = &session.person;
        let closing = if let Some(until) = self.banned(&person.id, now) {
            Some(Closing::Banned(until)) // the turn that was to close it failed
        } else if session.expires <= now {
            Some(Closing::Expired)
        } else if !self.quotas.frame(&person.id, now) {
            Some(Closing::Flooding)
        } else if frame.len() > MAX_FRAME {
            Some(Closing::TooLarge)
        } else {
            None
        };
        if let Some(closing) = closing {
            self.expel(socket, closing)?;
            return Ok(false);
        }
        match Said::parse(frame) {
            Ok(Said::Hello(hello)) => {
                self.hello(socket, &session, &hello, now, random)?;
                return Ok(true);
            }
            Ok(_) if !has_said_hello => refuse(socket, &Refusal::of(frame, Code::HelloFirst)),
            Ok(Said::Typing) if self.quotas.typing(&person.id, now) => {
                self.broadcast(&js(&Told::Typing { person })?, Some(socket))?;
            }
            Ok(Said::Typing) => {}
            Ok(Said::Command(id, command)) => match self.command(state, person, &id, command, now)? {
                Ok(seq) => send(socket, &json(&Told::Ack { id: &id, seq })?),
                Err((code, retry_after_ms)) => refuse(socket, &Refusal { code, id: Some(id), retry_after_ms }),
            },
            Err(refusal) => refuse(socket, &refusal),
        }
        Ok(false)
    }

    /// Says what the room is, and what its client has missed. The first `hello` ever makes the room; the first one of a socket
    /// lets it hear the room.
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
        let oldest = self.store.oldest(room, self.retention, now)?;
        let resume = room.resume(hello.resume_after, hello.epoch.as_deref(), oldest);
        if room.seq - resume.after > LONG
            && let Err(wait) = self.quotas.long_resume(&person.id, now)
        {
            refuse(socket, &Refusal { code: Code::RateLimited, id: None, retry_after_ms: Some(wait) });
            return Ok(());
        }
        let mut gone = vec![];
        if self.connections.session_of(socket).is_none() {
            if self.connections.members.find(&person.id).is_none() {
                self.store.enter(person)?;
                gone = self
                    .connections
                    .broadcast(&js(&Told::Presence { person: member(person, &room.owner), online: true })?, None);
            }
            Attachment { session: Session::clone(session), joined: now, greeted: true }.attach(socket)?;
            self.connections.add(socket, session.clone());
        }
        let welcome = Told::Welcome {
            you: member(person, &room.owner),
            epoch: &room.epoch,
            seq: room.seq,
            oldest,
            gap: resume.gap,
            members: self.connections.members.list().map(|person| member(person, &room.owner)).collect(),
        };
        send(socket, &json(&welcome)?);
        let mut after = resume.after;
        while after < room.seq {
            for event in self.store.following(after, PAGE)? {
                send(socket, &event);
            }
            after += u64::from(PAGE);
        }
        self.announce_gone(gone)
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
                let here = self.connections.members.find(person).cloned();
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
        self.broadcast(&told, None)?;
        if let Some(Effect::Expel(person, closing)) = decision.effect {
            for socket in state.get_websockets_with_tag(person.id.as_str()) {
                self.expel(&socket, closing)?;
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
    pub fn leave(&mut self, socket: &WebSocket) -> Result<()> {
        let gone = self.connections.remove(socket);
        self.announce_gone(gone.into_iter().collect())
    }

    /// Closes the socket, which hears no more from now on, and is not heard any more.
    pub fn expel(&mut self, socket: &WebSocket, closing: Closing) -> Result<()> {
        close(socket, closing);
        self.leave(socket)
    }

    fn broadcast(&mut self, text: &JsString, except: Option<&WebSocket>) -> Result<()> {
        let gone = self.connections.broadcast(text, except);
        self.announce_gone(gone)
    }

    /// Tells who has gone; and who has gone is found out by telling.
    fn announce_gone(&mut self, mut gone: Vec<Person>) -> Result<()> {
        let Some(room) = &self.room else { return Ok(()) };
        while let Some(person) = gone.pop() {
            self.store.leave(&person.id)?;
            let presence = Told::Presence { person: member(&person, &room.owner), online: false };
            gone.extend(self.connections.broadcast(&js(&presence)?, None));
        }
        Ok(())
    }

    /// Drops what is too old, and says when to look again; None when the room is abandoned: nobody there, and nothing kept.
    pub fn retain(&self, state: &State, now: Moment) -> Result<Option<Duration>> {
        let Some(room) = &self.room else { return Ok(None) };
        let Some(oldest) = self.store.retain(room, self.retention, now)? else {
            let is_empty = !state.get_websockets().iter().any(is_open);
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
fn send(socket: &WebSocket, text: &str) {
    let _ = socket.send_with_str(text);
}

/// Answers a frame that is not done.
pub fn refuse(socket: &WebSocket, refusal: &Refusal) {
    send(socket, &json(&Told::Error(refusal)).unwrap_or_default());
}

/// Closes a socket; one that is closing already stays as it is.
pub fn close(socket: &WebSocket, closing: Closing) {
    let _ = socket.close(Some(closing.code()), Some(closing.reason()));
}
