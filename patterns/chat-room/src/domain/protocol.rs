//! The frames of `edge-chat.v1`; `PROTOCOL.md` says what they mean.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::names::{CommandId, Name, Person, PersonId, Text};

/// The sub-protocol (RFC 6455, section 1.9).
pub const SUB_PROTOCOL: &str = "edge-chat.v1";
/// Bytes of the longest frame: a text of 4,000 characters, each written as two escapes of six, and its envelope.
pub const MAX_FRAME: usize = 64 << 10;

/// What a client says, once it is understood.
#[derive(Debug, PartialEq)]
pub enum Said {
    Hello(Hello),
    Typing,
    Command(CommandId, Command),
}

/// What a client has seen of the room.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Hello {
    pub resume_after: Option<u64>,
    pub epoch: Option<String>,
}

/// What changes the room, if the room agrees: it becomes an [`Event`].
#[derive(Debug, PartialEq)]
pub enum Command {
    Send(Text),
    Delete(u64),
    Kick(PersonId),
    Ban(PersonId, Moment),
}

/// As it arrives. What a newer client says besides is ignored.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    Hello(Hello),
    Send {
        #[serde(borrow)]
        id: Cow<'a, str>,
        text: String,
    },
    Delete {
        #[serde(borrow)]
        id: Cow<'a, str>,
        seq: u64,
    },
    Typing,
    Kick {
        #[serde(borrow)]
        id: Cow<'a, str>,
        person: String,
    },
    Ban {
        #[serde(borrow)]
        id: Cow<'a, str>,
        person: String,
        #[serde(borrow)]
        until: Cow<'a, str>,
    },
    #[serde(other)]
    Unknown,
}

/// The one member that an answer to a frame that was not understood repeats.
#[derive(Deserialize)]
struct Named {
    id: CommandId,
}

impl Said {
    /// Reads a text frame.
    ///
    /// # Errors
    /// Says what is wrong with it, under the frame's own id if it has one.
    pub fn parse(frame: &str) -> Result<Self, Refusal> {
        let refuse = |code| Refusal::of(frame, code);
        if !frame.trim_start().starts_with('{') {
            return Err(refuse(Code::Malformed)); // serde reads structs from arrays, too
        }
        let command = match serde_json::from_str(frame).map_err(|_| refuse(Code::Malformed))? {
            Frame::Hello(hello) => return Ok(Self::Hello(hello)),
            Frame::Typing => return Ok(Self::Typing),
            Frame::Unknown => return Err(refuse(Code::UnknownType)),
            Frame::Send { id, text } => (id, Text::try_from(text).map(Command::Send).map_err(|_| Code::InvalidText)),
            Frame::Delete { id, seq } => (id, Ok(Command::Delete(seq))),
            // A person who cannot be is not there.
            Frame::Kick { id, person } => {
                (id, PersonId::try_from(person).map(Command::Kick).map_err(|_| Code::NotFound))
            }
            Frame::Ban { id, person, until } => {
                let until = Moment::parse(&until).ok_or(Code::InvalidUntil);
                let person = PersonId::try_from(person).map_err(|_| Code::NotFound);
                (id, person.and_then(|person| Ok(Command::Ban(person, until?))))
            }
        };
        let (id, command) = command;
        let id = CommandId::try_from(id.into_owned()).map_err(|_| refuse(Code::InvalidId))?;
        command.map_err(refuse).map(|command| Self::Command(id, command))
    }
}

/// What happened in a room, with its number: as it is stored, so it is told.
///
/// Rows of an older version are read by the next one: members are added, and none changes its meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Message {
        seq: u64,
        id: CommandId,
        author: Person,
        /// Empty once it is deleted.
        text: String,
        at: Moment,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
    },
    Deleted {
        seq: u64,
        id: CommandId,
        target: u64,
        by: Person,
        at: Moment,
    },
    Kicked {
        seq: u64,
        id: CommandId,
        person: Person,
        by: Person,
        at: Moment,
    },
    Banned {
        seq: u64,
        id: CommandId,
        person: Person,
        by: Person,
        until: Moment,
        at: Moment,
    },
}

impl Event {
    pub fn seq(&self) -> u64 {
        let (Self::Message { seq, .. }
        | Self::Deleted { seq, .. }
        | Self::Kicked { seq, .. }
        | Self::Banned { seq, .. }) = self;
        *seq
    }

    pub fn id(&self) -> &CommandId {
        let (Self::Message { id, .. } | Self::Deleted { id, .. } | Self::Kicked { id, .. } | Self::Banned { id, .. }) =
            self;
        id
    }

    pub fn at(&self) -> Moment {
        let (Self::Message { at, .. } | Self::Deleted { at, .. } | Self::Kicked { at, .. } | Self::Banned { at, .. }) =
            self;
        *at
    }

    /// Whose command it was.
    pub fn by(&self) -> &Person {
        let (Self::Message { author: by, .. }
        | Self::Deleted { by, .. }
        | Self::Kicked { by, .. }
        | Self::Banned { by, .. }) = self;
        by
    }
}

/// What somebody may do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Member,
}

/// Somebody who is here.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Member<'a> {
    pub id: &'a PersonId,
    pub name: &'a Name,
    pub role: Role,
}

/// What the room says and does not store.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Told<'a> {
    Welcome { you: Member<'a>, epoch: &'a str, seq: u64, oldest: u64, gap: bool, members: Vec<Member<'a>> },
    Presence { person: Member<'a>, online: bool },
    Typing { person: &'a Person },
    Ack { id: &'a CommandId, seq: u64 },
    Error(&'a Refusal),
}

/// Why a frame was not done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    #[serde(flatten)]
    pub code: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// Of a frame that may or may not name itself.
    pub fn of(frame: &str, code: Code) -> Self {
        Self { code, id: serde_json::from_str(frame).ok().map(|Named { id }| id), retry_after_ms: None }
    }
}

/// What a program compares, and the sentence for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Malformed,
    UnknownType,
    HelloFirst,
    InvalidId,
    InvalidText,
    InvalidUntil,
    NotFound,
    Forbidden,
    IdReused,
    RateLimited,
    TooManyBans,
    Unavailable,
}

impl Code {
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("malformed", "this is not a frame of edge-chat.v1"),
            Self::UnknownType => ("unknown_type", "this room does not know frames of this type"),
            Self::HelloFirst => ("hello_first", "say hello first"),
            Self::InvalidId => ("invalid_id", "an id is 1 to 64 visible ASCII characters"),
            Self::InvalidText => {
                ("invalid_text", "a text is 1 to 4,000 characters, with no control characters but line feed and tab")
            }
            Self::InvalidUntil => ("invalid_until", "a ban ends at a time to come, as RFC 3339 writes it"),
            Self::NotFound => ("not_found", "there is no such message, or no such person"),
            Self::Forbidden => ("forbidden", "this is not for you to do"),
            Self::IdReused => ("id_reused", "another command of yours has this id"),
            Self::RateLimited => ("rate_limited", "too many commands: wait a little"),
            Self::TooManyBans => ("too_many_bans", "this room has as many bans as it can"),
            Self::Unavailable => ("unavailable", "the room failed: send it again, under the same id"),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Texts {
            code: &'static str,
            message: &'static str,
        }
        let (code, message) = self.texts();
        Texts { code, message }.serialize(serializer)
    }
}

/// Why the room ends a connection: a code of RFC 6455, section 7.4, or of ours, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    Binary,
    TooLarge,
    Expired,
    Banned(Moment),
    TooManySockets,
    Kicked,
    Flooding,
    RoomFull,
}

impl Closing {
    pub fn code(self) -> u16 {
        match self {
            Self::Binary => 1003,
            Self::TooLarge => 1009,
            Self::Expired => 4401,
            Self::Banned(_) => 4403,
            Self::TooManySockets => 4409,
            Self::Kicked => 4410,
            Self::Flooding => 4429,
            Self::RoomFull => 4503,
        }
    }

    /// Reads what [`Closing`] writes as a text: the code, and the reason.
    pub fn parse(text: &str) -> Option<(u16, &str)> {
        let (code, reason) = text.split_once(' ')?;
        Some((code.parse().ok()?, reason))
    }

    pub fn reason(self) -> Cow<'static, str> {
        match self {
            Self::Binary => "text frames only".into(),
            Self::TooLarge => "frame too large".into(),
            Self::Expired => "session expired".into(),
            Self::Banned(until) => format!("banned until {until}").into(),
            Self::TooManySockets => "too many sockets".into(),
            Self::Kicked => "kicked".into(),
            Self::Flooding => "flooding".into(),
            Self::RoomFull => "room full".into(),
        }
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.reason())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn refused(frame: &Value) -> (Code, Option<String>) {
        let refusal = Said::parse(&frame.to_string()).unwrap_err();
        (refusal.code, refusal.id.map(|id| id.as_str().to_owned()))
    }

    #[test]
    fn every_frame_of_the_protocol_is_understood() {
        let id = || CommandId::try_from("c-1".to_owned()).unwrap();
        let ann = || PersonId::try_from("ann".to_owned()).unwrap();
        let text = Text::try_from("hi".to_owned()).unwrap();
        let until = Moment::from_millis(1_800_000_000_000);
        for (frame, said) in [
            (json!({"type": "hello", "resume_after": null}), Said::Hello(Hello { resume_after: None, epoch: None })),
            (json!({"type": "hello"}), Said::Hello(Hello { resume_after: None, epoch: None })),
            (
                json!({"type": "hello", "resume_after": 7, "epoch": "e"}),
                Said::Hello(Hello { resume_after: Some(7), epoch: Some("e".into()) }),
            ),
            (json!({"type": "typing", "with": "both hands"}), Said::Typing),
            (json!({"id": "c-1", "text": "hi", "type": "send", "mood": 1}), Said::Command(id(), Command::Send(text))),
            (json!({"type": "delete", "id": "c-1", "seq": 3}), Said::Command(id(), Command::Delete(3))),
            (json!({"type": "kick", "id": "c-1", "person": "ann"}), Said::Command(id(), Command::Kick(ann()))),
            (
                json!({"type": "ban", "id": "c-1", "person": "ann", "until": "2027-01-15T08:00:00Z"}),
                Said::Command(id(), Command::Ban(ann(), until)),
            ),
        ] {
            assert_eq!(Said::parse(&frame.to_string()), Ok(said), "{frame}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_under_the_frames_own_id() {
        let named = |code| (code, Some("c-1".to_owned()));
        assert_eq!(refused(&json!({"type": "sing", "id": "c-1"})), named(Code::UnknownType));
        assert_eq!(refused(&json!({"type": "send", "id": "c-1"})), named(Code::Malformed));
        assert_eq!(refused(&json!({"type": "send", "id": "c-1", "text": " "})), named(Code::InvalidText));
        assert_eq!(refused(&json!({"type": "delete", "id": "c-1", "seq": -1})), named(Code::Malformed));
        assert_eq!(
            refused(&json!({"type": "ban", "id": "c-1", "person": "ann", "until": "soon"})),
            named(Code::InvalidUntil)
        );
        assert_eq!(refused(&json!({"type": "kick", "id": "c-1", "person": "../ann"})), named(Code::NotFound));
        assert_eq!(refused(&json!({"type": "send", "id": "", "text": "hi"})), (Code::InvalidId, None));
    }

    #[test]
    fn what_is_no_object_with_a_type_is_malformed() {
        let deep =
            format!("{}{}", r#"{"type":"send","id":"a","text":"#.to_owned() + &"[".repeat(8000), "]".repeat(8000));
        for frame in [
            "",
            " ",
            "ping",
            "{}",
            "[]",
            r#"["typing"]"#,
            "null",
            "7",
            r#""typing""#,
            r#"{"type":7}"#,
            r#"{"type":"typing""#,
            r#"{"type":"send","id":"a","text":"\ud800"}"#,
            r#"{"type":"send","id":"a","id":"b","text":"c"}"#,
            &deep,
        ] {
            assert_eq!(Said::parse(frame).map_err(|refusal| refusal.code), Err(Code::Malformed), "{frame}");
        }
    }

    #[test]
    fn a_closing_is_read_as_it_was_written() {
        assert_eq!(Closing::parse(&Closing::RoomFull.to_string()), Some((4503, "room full")));
        assert_eq!(Closing::parse("full"), None);
    }

    #[test]
    fn what_the_room_says_has_the_members_that_clients_rely_on() {
        let person = || serde_json::from_value::<Person>(json!({"id": "p", "name": "Ann"})).unwrap();
        let event = Event::Message {
            seq: 7,
            id: CommandId::try_from("c-1".to_owned()).unwrap(),
            author: person(),
            text: "hi".into(),
            at: Moment::from_millis(1_800_000_000_007),
            deleted: false,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"type":"message","seq":7,"id":"c-1","author":{"id":"p","name":"Ann"},"text":"hi","at":"2027-01-15T08:00:00.007Z"}"#
        );
        let refusal = Refusal { code: Code::RateLimited, id: Some(event.id().clone()), retry_after_ms: Some(200) };
        assert_eq!(
            serde_json::to_value(Told::Error(&refusal)).unwrap(),
            json!({"type": "error", "code": "rate_limited", "message": "too many commands: wait a little", "id": "c-1", "retry_after_ms": 200})
        );
        let ann = person();
        let you = || Member { id: &ann.id, name: &ann.name, role: Role::Owner };
        assert_eq!(
            serde_json::to_value(Told::Welcome {
                you: you(),
                epoch: "e",
                seq: 7,
                oldest: 3,
                gap: false,
                members: vec![you()]
            })
            .unwrap(),
            json!({"type": "welcome", "you": {"id": "p", "name": "Ann", "role": "owner"}, "epoch": "e", "seq": 7, "oldest": 3,
                "gap": false, "members": [{"id": "p", "name": "Ann", "role": "owner"}]})
        );
    }

    proptest! {
        #[test]
        fn no_frame_panics(frame in ".*") {
            let _ = Said::parse(&frame);
        }

        #[test]
        fn an_event_is_read_as_it_was_written(text in ".*", seq: u64, at in 0..Moment::MAX.millis(), deleted: bool) {
            let author = Person { id: PersonId::try_from("p".to_owned()).unwrap(), name: Name::try_from("Ann".to_owned()).unwrap() };
            let id = CommandId::try_from("c".to_owned()).unwrap();
            let event = Event::Message { seq, id, author, text, at: Moment::from_millis(at), deleted };
            prop_assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
        }
    }
}
