use std::collections::BTreeMap;

use super::moment::Moment;
use super::names::{CommandId, Person, PersonId};
use super::protocol::{Closing, Code, Command, Event};

/// Bans at the same time.
pub const MAX_BANS: usize = 1000;
/// Open sockets of a room, and of one person in it.
pub const MAX_SOCKETS: usize = 500;
pub const MAX_SOCKETS_EACH: usize = 8;

/// What a room decides by. Its events are in storage; this is what must be known of them to add one.
///
/// Numbers have no gaps: an event takes `seq + 1`, and [`Room::apply`] counts it once it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// Tells this life of the room from the one before.
    pub epoch: String,
    /// The first who came.
    pub owner: PersonId,
    /// The last number that was given; 0 in a new room.
    pub seq: u64,
    /// When that was. Times in a room never go back, since retention ends at the first event that is young enough.
    pub last: Moment,
    pub bans: BTreeMap<PersonId, Ban>,
}

/// Somebody must stay away.
#[derive(Clone, Debug, PartialEq)]
pub struct Ban {
    pub person: Person,
    pub until: Moment,
}

/// What storage knows of what a command names.
#[derive(Debug, Default)]
pub struct Found {
    /// The event that a `delete` is about, if it is retained.
    pub target: Option<Event>,
    /// The person whom a `kick` or `ban` is about, if they are here or have left a trace.
    pub person: Option<Person>,
}

/// What follows from a command: to be stored in one turn, then done, then told.
#[derive(Debug, PartialEq)]
pub struct Decision {
    pub event: Event,
    pub effect: Option<Effect>,
}

#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Store this in place of the event with its number.
    Redact(Event),
    /// Close all sockets of this person. A ban is remembered, too.
    Expel(Person, Closing),
}

/// How a `hello` is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Resume {
    /// Events behind this number are sent.
    pub after: u64,
    /// Something that the client has not seen is not to be had.
    pub gap: bool,
}

impl Room {
    pub fn new(epoch: String, owner: PersonId, now: Moment) -> Self {
        Self { epoch, owner, seq: 0, last: now, bans: BTreeMap::new() }
    }

    /// What becomes of a command of `by`'s that comes for the first time.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn decide(
        &self,
        by: &Person,
        id: CommandId,
        command: Command,
        found: Found,
        now: Moment,
    ) -> Result<Decision, Code> {
        let (seq, at, by) = (self.seq + 1, now.max(self.last), by.clone());
        let is_owner = by.id == self.owner;
        let (event, effect) = match command {
            Command::Send(text) => {
                (Event::Message { seq, id, author: by, text: text.into_string(), at, deleted: false }, None)
            }
            Command::Delete(target) => {
                let message = found.target.ok_or(Code::NotFound)?;
                let Event::Message { deleted: false, author, .. } = &message else { return Err(Code::NotFound) };
                if !is_owner && author.id != by.id {
                    return Err(Code::Forbidden);
                }
                (Event::Deleted { seq, id, target, by, at }, Some(Effect::Redact(message.redacted())))
            }
            Command::Kick(person) => {
                let person = self.expellable(is_owner, &person, found)?;
                let effect = Effect::Expel(person.clone(), Closing::Kicked);
                (Event::Kicked { seq, id, person, by, at }, Some(effect))
            }
            Command::Ban(person, until) => {
                let person = self.expellable(is_owner, &person, found)?;
                if until <= now {
                    return Err(Code::InvalidUntil);
                }
                let others = self.bans.values().filter(|ban| ban.person.id != person.id && ban.until > now).count();
                if others >= MAX_BANS {
                    return Err(Code::TooManyBans);
                }
                let effect = Effect::Expel(person.clone(), Closing::Banned(until));
                (Event::Banned { seq, id, person, by, until, at }, Some(effect))
            }
        };
        Ok(Decision { event, effect })
    }

    /// The owner may expel anybody else who is known here.
    fn expellable(&self, is_owner: bool, person: &PersonId, found: Found) -> Result<Person, Code> {
        if !is_owner || *person == self.owner {
            return Err(Code::Forbidden);
        }
        found.person.or_else(|| Some(self.bans.get(person)?.person.clone())).ok_or(Code::NotFound)
    }

    /// Counts an event that is stored.
    pub fn apply(&mut self, event: &Event) {
        (self.seq, self.last) = (event.seq(), event.at());
        if let Event::Banned { person, until, at, .. } = event {
            self.bans.retain(|_, ban| ban.until > *at);
            self.bans.insert(person.id.clone(), Ban { person: person.clone(), until: *until });
        }
    }

    /// Until when `person` is banned; None for who may come.
    pub fn banned(&self, person: &PersonId, now: Moment) -> Option<Moment> {
        self.bans.get(person).map(|ban| ban.until).filter(|until| *until > now)
    }

    /// What a client gets that has seen everything up to `resume_after` of the life `epoch` of this room, when `oldest` is the
    /// lowest number retained (`seq + 1` when there is none).
    pub fn resume(&self, resume_after: Option<u64>, epoch: Option<&str>, oldest: u64) -> Resume {
        let before = oldest.saturating_sub(1);
        let is_other = epoch.is_some_and(|epoch| epoch != self.epoch);
        match resume_after {
            None => Resume { after: self.seq, gap: is_other },
            Some(seen) if is_other || seen > self.seq => Resume { after: before, gap: true },
            Some(seen) => Resume { after: seen.max(before), gap: seen < before },
        }
    }
}

impl Event {
    /// The message without what it said.
    fn redacted(self) -> Self {
        match self {
            Self::Message { seq, id, author, at, .. } => {
                Self::Message { seq, id, author, text: String::new(), at, deleted: true }
            }
            other => other,
        }
    }

    /// Whether this is what became of `command`, which comes again. A text that was deleted is not known any more.
    pub fn is_of(&self, command: &Command) -> bool {
        match (self, command) {
            (Self::Message { deleted: true, .. }, Command::Send(_)) => true,
            (Self::Message { text, .. }, Command::Send(again)) => text == again.as_str(),
            (Self::Deleted { target, .. }, Command::Delete(again)) => target == again,
            (Self::Kicked { person, .. }, Command::Kick(again)) => person.id == *again,
            (Self::Banned { person, until, .. }, Command::Ban(again, again_until)) => {
                person.id == *again && until == again_until
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names::{Name, Text};
    use super::*;

    fn person(n: u8) -> Person {
        let id = PersonId::try_from(format!("p{n}")).unwrap();
        Person { id, name: Name::try_from(format!("Person {n}")).unwrap() }
    }

    fn id(n: u16) -> CommandId {
        CommandId::try_from(format!("c{n}")).unwrap()
    }

    fn send(text: &str) -> Command {
        Command::Send(Text::try_from(text.to_owned()).unwrap())
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// A room with what the object and its storage add: enough of both to run any sequence of commands.
    struct Kept {
        room: Room,
        events: Vec<Event>,
        dropped: u64,
    }

    impl Kept {
        fn new() -> Self {
            Self { room: Room::new("epoch".into(), person(0).id, at(0)), events: vec![], dropped: 0 }
        }

        fn oldest(&self) -> u64 {
            self.events.first().map_or(self.room.seq + 1, Event::seq)
        }

        fn command(&mut self, by: &Person, id: CommandId, command: Command, now: Moment) -> Result<u64, Code> {
            if let Some(done) = self.events.iter().find(|event| event.by() == by && *event.id() == id) {
                return if done.is_of(&command) { Ok(done.seq()) } else { Err(Code::IdReused) };
            }
            let found = Found {
                target: match &command {
                    Command::Delete(seq) => self.events.iter().find(|event| event.seq() == *seq).cloned(),
                    _ => None,
                },
                person: match &command {
                    Command::Kick(about) | Command::Ban(about, _) => {
                        (0..4).map(person).find(|known| known.id == *about)
                    }
                    _ => None,
                },
            };
            let Decision { event, effect } = self.room.decide(by, id, command, found, now)?;
            if let Some(Effect::Redact(redacted)) = effect {
                let stored = self.events.iter_mut().find(|event| event.seq() == redacted.seq()).unwrap();
                *stored = redacted;
            }
            self.room.apply(&event);
            self.events.push(event);
            Ok(self.room.seq)
        }

        fn keep(&mut self, events: usize) {
            let dropped = self.events.len().saturating_sub(events);
            self.events.drain(..dropped);
            self.dropped += dropped as u64;
        }

        fn since(&self, resume: &Resume) -> Vec<u64> {
            self.events.iter().map(Event::seq).filter(|seq| *seq > resume.after).collect()
        }
    }

    #[test]
    fn a_command_that_comes_again_has_the_number_that_it_had() {
        let mut kept = Kept::new();
        assert_eq!(kept.command(&person(1), id(1), send("hi"), at(1)), Ok(1));
        assert_eq!(kept.command(&person(2), id(1), send("hi"), at(1)), Ok(2), "another person's id is another id");
        assert_eq!(kept.command(&person(1), id(1), send("hi"), at(9)), Ok(1));
        assert_eq!(kept.command(&person(1), id(1), send("ho"), at(9)), Err(Code::IdReused));
        assert_eq!(kept.command(&person(1), id(2), Command::Delete(1), at(9)), Ok(3));
        assert_eq!(kept.command(&person(1), id(1), send("hi"), at(9)), Ok(1), "also when it is deleted");
        assert_eq!(kept.command(&person(1), id(2), Command::Delete(1), at(9)), Ok(3));
        assert_eq!(kept.command(&person(1), id(2), Command::Delete(2), at(9)), Err(Code::IdReused));
        assert_eq!(kept.room.seq, 3);
    }

    #[test]
    fn a_message_is_deleted_by_its_author_or_the_owner_once() {
        let mut kept = Kept::new();
        for n in 1..=3 {
            kept.command(&person(1), id(n), send("hi"), at(1)).unwrap();
        }
        assert_eq!(kept.command(&person(2), id(9), Command::Delete(1), at(1)), Err(Code::Forbidden));
        assert_eq!(kept.command(&person(1), id(9), Command::Delete(1), at(1)), Ok(4));
        assert_eq!(kept.command(&person(0), id(9), Command::Delete(2), at(1)), Ok(5));
        assert_eq!(kept.command(&person(0), id(8), Command::Delete(2), at(1)), Err(Code::NotFound), "deleted already");
        assert_eq!(kept.command(&person(0), id(8), Command::Delete(4), at(1)), Err(Code::NotFound), "not a message");
        assert_eq!(kept.command(&person(0), id(8), Command::Delete(99), at(1)), Err(Code::NotFound));
        let texts: Vec<_> = kept
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Message { text, deleted, .. } => Some((text.as_str(), *deleted)),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [("", true), ("", true), ("hi", false)]);
    }

    #[test]
    fn only_the_owner_expels_and_only_others_who_are_known() {
        let mut kept = Kept::new();
        let kick = |n| Command::Kick(person(n).id);
        assert_eq!(kept.command(&person(1), id(1), kick(2), at(1)), Err(Code::Forbidden));
        assert_eq!(kept.command(&person(0), id(1), kick(0), at(1)), Err(Code::Forbidden), "nobody but others");
        assert_eq!(kept.command(&person(0), id(1), kick(9), at(1)), Err(Code::NotFound));
        assert_eq!(kept.command(&person(0), id(1), kick(1), at(1)), Ok(1));
        assert_eq!(kept.room.banned(&person(1).id, at(1)), None, "who was kicked may come back");
    }

    #[test]
    fn a_ban_ends_by_itself_and_a_later_one_takes_its_place() {
        let mut kept = Kept::new();
        let ban = |until| Command::Ban(person(1).id, at(until));
        assert_eq!(kept.command(&person(0), id(1), ban(5), at(5)), Err(Code::InvalidUntil));
        assert_eq!(kept.command(&person(0), id(1), ban(100), at(5)), Ok(1));
        assert_eq!(kept.room.banned(&person(1).id, at(99)), Some(at(100)));
        assert_eq!(kept.room.banned(&person(1).id, at(100)), None);
        assert_eq!(kept.command(&person(0), id(2), ban(7), at(6)), Ok(2));
        assert_eq!(kept.room.banned(&person(1).id, at(7)), None);
    }

    #[test]
    fn bans_have_a_limit_that_those_which_have_ended_do_not_count_for() {
        let mut room = Room::new("epoch".into(), person(0).id, at(0));
        for n in 0..MAX_BANS {
            let banned = Person { id: PersonId::try_from(format!("banned-{n}")).unwrap(), name: person(1).name };
            room.bans.insert(banned.id.clone(), Ban { person: banned, until: at(100) });
        }
        let ban = |room: &Room, now| {
            let found = Found { target: None, person: Some(person(1)) };
            room.decide(&person(0), id(1), Command::Ban(person(1).id, at(500)), found, at(now))
        };
        assert_eq!(ban(&room, 99), Err(Code::TooManyBans));
        let decision = ban(&room, 100).unwrap();
        room.apply(&decision.event);
        assert_eq!(room.bans.len(), 1);
    }

    #[test]
    fn resuming_says_when_something_is_missing() {
        let mut room = Room::new("epoch".into(), person(0).id, at(0));
        room.seq = 10;
        let resume = |after, epoch, oldest| {
            let Resume { after, gap } = room.resume(after, epoch, oldest);
            (after, gap)
        };
        assert_eq!(resume(None, None, 4), (10, false), "only what comes");
        assert_eq!(resume(Some(10), Some("epoch"), 4), (10, false));
        assert_eq!(resume(Some(7), None, 4), (7, false));
        assert_eq!(resume(Some(3), Some("epoch"), 4), (3, false), "4 is there");
        assert_eq!(resume(Some(2), Some("epoch"), 4), (3, true), "3 is not");
        assert_eq!(resume(Some(0), None, 1), (0, false));
        assert_eq!(resume(Some(9), None, 11), (10, true), "all is dropped");
        assert_eq!(resume(Some(7), Some("other"), 4), (3, true), "another life of the room");
        assert_eq!(resume(None, Some("other"), 4), (10, true));
        assert_eq!(resume(Some(11), None, 4), (3, true), "a number that this life has not given");
        assert_eq!(resume(Some(u64::MAX), None, 1), (0, true));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Command {
            by: u8,
            id: u16,
            what: u8,
            about: u8,
            later: u64,
        },
        /// A clock that goes back.
        Earlier,
        Drop {
            keep: usize,
        },
        Resume {
            behind: u64,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..4u8, 0..40u16, 0..5u8, 0..30u8, 0..50u64)
                .prop_map(|(by, id, what, about, later)| Step::Command { by, id, what, about, later }),
            1 => Just(Step::Earlier),
            1 => (0..20usize).prop_map(|keep| Step::Drop { keep }),
            2 => (0..40u64).prop_map(|behind| Step::Resume { behind }),
        ]
    }

    proptest! {
        /// Whatever is asked in whatever order.
        #[test]
        fn numbers_have_no_gaps_nothing_comes_twice_and_what_is_deleted_stays_so(steps in prop::collection::vec(step(), 0..200)) {
            let (mut kept, mut now) = (Kept::new(), 1000);
            for step in steps {
                match step {
                    Step::Command { by, id: n, what, about, later } => {
                        now += later;
                        let command = match what {
                            0 => Command::Delete(about.into()),
                            1 => Command::Kick(person(about % 5).id),
                            2 => Command::Ban(person(about % 5).id, at(now + u64::from(about) * 10)),
                            _ => send("secret"),
                        };
                        let before = kept.room.seq;
                        let by = person(by);
                        let was_owner = by.id == kept.room.owner;
                        let expels = matches!(command, Command::Kick(_) | Command::Ban(..));
                        if let Ok(seq) = kept.command(&by, id(n), command, at(now)) {
                            prop_assert!(seq == before + 1 || (seq <= before && kept.room.seq == before));
                            prop_assert!(was_owner || !expels);
                        } else {
                            prop_assert_eq!(kept.room.seq, before, "a refusal changes nothing");
                        }
                    }
                    Step::Earlier => now = now.saturating_sub(500),
                    Step::Drop { keep } => kept.keep(keep),
                    Step::Resume { behind } => {
                        let seen = kept.room.seq.saturating_sub(behind);
                        let resume = kept.room.resume(Some(seen), Some("epoch"), kept.oldest());
                        let missed: Vec<_> = (seen + 1..=kept.room.seq).collect();
                        let told = kept.since(&resume);
                        prop_assert_eq!(told != missed, resume.gap, "seen {}, told {:?}", seen, told);
                        prop_assert!(missed.ends_with(&told));
                    }
                }
            }
            let seqs: Vec<_> = kept.events.iter().map(Event::seq).collect();
            prop_assert_eq!(seqs, (kept.dropped + 1..=kept.room.seq).collect::<Vec<_>>());
            let times: Vec<_> = kept.events.iter().map(Event::at).collect();
            prop_assert!(times.is_sorted());
            let mut ids: Vec<_> = kept.events.iter().map(|event| (event.by().id.clone(), event.id().as_str().to_owned())).collect();
            ids.sort();
            let count = ids.len();
            ids.dedup();
            prop_assert_eq!(ids.len(), count, "a command became two events");
            for event in &kept.events {
                if let Event::Deleted { target, by, .. } = event {
                    let Some(Event::Message { text, deleted, author, .. }) = kept.events.iter().find(|event| event.seq() == *target)
                    else { continue }; // dropped since
                    prop_assert!(text.is_empty() && *deleted);
                    prop_assert!(by.id == author.id || by.id == kept.room.owner);
                }
            }
        }
    }
}
