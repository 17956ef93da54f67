use js_sys::JsString;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use worker::{Error, Result, SqlStorage, SqlStorageValue, Storage};

use crate::domain::moment::Moment;
use crate::domain::names::{CommandId, Person, PersonId};
use crate::domain::protocol::{Closing, Event};
use crate::domain::room::{Ban, Decision, Effect, Room};

/// How many events more than it keeps a room may have for a while, so that they are dropped together.
const SLACK: u64 = 100;

#[wasm_bindgen]
extern "C" {
    /// `ctx.storage.sql`, for the two statements of every message: `worker`'s own `exec` crosses once for each value.
    type Sql;

    #[wasm_bindgen(method, catch, js_name = exec)]
    fn find(this: &Sql, query: &JsString, author: &str, id: &str) -> std::result::Result<Cursor, JsValue>;
    #[wasm_bindgen(method, catch, js_name = exec)]
    fn insert(
        this: &Sql,
        query: &JsString,
        seq: f64,
        at: f64,
        author: &str,
        id: &str,
        event: &JsString,
    ) -> std::result::Result<JsValue, JsValue>;

    type Cursor;

    #[wasm_bindgen(method, catch)]
    fn next(this: &Cursor) -> std::result::Result<Next, JsValue>;

    type Next;

    #[wasm_bindgen(method, getter)]
    fn value(this: &Next) -> Option<EventRow>;

    type EventRow;

    #[wasm_bindgen(method, getter)]
    fn event(this: &EventRow) -> String;

    /// `ctx.storage`, for the one method that `worker` lacks.
    type Transactional;

    /// Runs this at once; what it has written is taken back when it throws.
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        writes: &mut dyn FnMut() -> std::result::Result<(), JsValue>,
    ) -> std::result::Result<(), JsValue>;
}

/// Bytes of the events that a room keeps, about: what one `hello` can be answered with must fit an isolate's memory many times.
/// Five thousand messages of usual length fit.
const MAX_SIZE: f64 = 2_097_152.0;

/// A room's storage: the database of its object. Nothing here waits, and no frame leaves the object before what its turn wrote is
/// on disk.
pub struct Store {
    sql: SqlStorage,
    storage: Transactional,
    hot: Sql,
    find: JsString,
    insert: JsString,
}

/// What is kept of the past.
#[derive(Clone, Copy)]
pub struct Retention {
    /// Milliseconds.
    pub age: u64,
    pub events: u64,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Number {
    n: Option<f64>,
}

impl Store {
    pub fn of(storage: &Storage) -> Self {
        let sql = storage.sql();
        Self {
            storage: AsRef::<JsValue>::as_ref(storage.as_raw()).clone().unchecked_into(),
            hot: sql.as_ref().clone().unchecked_into(),
            find: "SELECT event FROM events WHERE author = ? AND id = ?".into(),
            insert: "INSERT INTO events (seq, at, author, id, event) VALUES (?, ?, ?, ?, ?)".into(),
            sql,
        }
    }

    /// The room as it was left; None where there is none. Then there are no tables either: looking at a room leaves no trace.
    pub fn load(&self) -> Result<Option<Room>> {
        // The numbers of the room's row are those of the last event that was dropped; behind that the events have them.
        const ROOM: &str = "
            SELECT epoch, owner, max(seq, coalesce((SELECT max(seq) FROM events), 0)) AS seq,
                max(last, coalesce((SELECT at FROM events ORDER BY seq DESC LIMIT 1), 0)) AS last
            FROM room";
        #[derive(Deserialize)]
        struct Row {
            epoch: String,
            owner: String,
            seq: f64,
            last: f64,
        }
        #[derive(Deserialize)]
        struct BanRow {
            #[serde(flatten)]
            person: Person,
            until: f64,
        }
        if self.rows::<Number>("SELECT 1 AS n FROM sqlite_master WHERE name = 'room'", [])?.is_empty() {
            return Ok(None);
        }
        let Some(row) = self.rows::<Row>(ROOM, [])?.pop() else { return Ok(None) };
        let bans = self.rows::<BanRow>("SELECT id, name, until FROM bans", [])?;
        let bans =
            bans.into_iter().map(|BanRow { person, until }| (person.id.clone(), Ban { person, until: moment(until) }));
        Ok(Some(Room {
            epoch: row.epoch,
            owner: id(row.owner)?,
            seq: whole(row.seq),
            last: moment(row.last),
            bans: bans.collect(),
        }))
    }

    /// Makes a room where there is none.
    pub fn create(&self, room: &Room) -> Result<()> {
        // `event` is the JSON that clients are told. The index makes a command that comes again find its event.
        const SQL: &str = "
            CREATE TABLE room (epoch TEXT NOT NULL, owner TEXT NOT NULL, seq REAL NOT NULL, last REAL NOT NULL);
            CREATE TABLE events (seq INTEGER PRIMARY KEY, at REAL NOT NULL, author TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL);
            CREATE UNIQUE INDEX events_by_author ON events (author, id);
            CREATE TABLE bans (id TEXT PRIMARY KEY, name TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
            CREATE TABLE present (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID";
        const ROW: &str = "INSERT INTO room (epoch, owner, seq, last) VALUES (?, ?, ?, ?)";
        let row = [room.epoch.as_str().into(), room.owner.as_str().into(), number(room.seq), room.last.as_f64().into()];
        Ok(self.storage.transaction_sync(&mut || {
            self.run(SQL, [])?;
            Ok(self.run(ROW, row.clone())?)
        })?)
    }

    /// What became of this command of `author`'s, if it came before.
    pub fn done(&self, author: &PersonId, id: &CommandId) -> Result<Option<Event>> {
        let found = self.hot.find(&self.find, author.as_str(), id.as_str())?.next()?.value();
        found.map(|found| serde_json::from_str(&found.event())).transpose().map_err(Error::from)
    }

    /// The event with this number, if it is retained.
    pub fn target(&self, seq: u64) -> Result<Option<Event>> {
        self.event("SELECT event AS text FROM events WHERE seq = ?", [number(seq)])
    }

    /// Who this is, from what they did here.
    pub fn person(&self, id: &PersonId) -> Result<Option<Person>> {
        const SQL: &str = "SELECT event AS text FROM events WHERE author = ? LIMIT 1";
        Ok(self.event(SQL, [id.as_str().into()])?.map(|event| event.by().clone()))
    }

    /// Writes what was decided. `told` is the event as JSON.
    pub fn append(&self, decision: &Decision, told: &JsString, retention: Retention) -> Result<()> {
        match &decision.effect {
            None => self.insert(&decision.event, told)?,
            Some(effect) => self.storage.transaction_sync(&mut || {
                self.carry_out(effect, &decision.event)?;
                Ok(self.insert(&decision.event, told)?)
            })?,
        }
        let seq = decision.event.seq();
        if seq.is_multiple_of(SLACK) {
            const LARGEST: &str = "
                SELECT seq AS n FROM (SELECT seq, sum(octet_length(event)) OVER (ORDER BY seq DESC) AS size FROM events)
                WHERE size > ? ORDER BY seq DESC LIMIT 1";
            let too_much = self.number(LARGEST, [MAX_SIZE.into()])?.map_or(0, whole);
            self.drop_through(too_much.max(seq.saturating_sub(retention.events)))?;
        }
        Ok(())
    }

    fn insert(&self, event: &Event, told: &JsString) -> Result<()> {
        let (author, id) = (event.by().id.as_str(), event.id().as_str());
        self.hot.insert(&self.insert, float(event.seq()), event.at().as_f64(), author, id, told)?;
        Ok(())
    }

    fn carry_out(&self, effect: &Effect, event: &Event) -> Result<()> {
        match effect {
            Effect::Redact(redacted) => {
                self.run("UPDATE events SET event = ? WHERE seq = ?", [json(redacted)?.into(), number(redacted.seq())])
            }
            Effect::Expel(person, Closing::Banned(until)) => {
                self.run("DELETE FROM bans WHERE until <= ?", [event.at().as_f64().into()])?;
                let ban = [person.id.as_str().into(), person.name.as_str().into(), until.as_f64().into()];
                self.run("INSERT OR REPLACE INTO bans (id, name, until) VALUES (?, ?, ?)", ban)
            }
            Effect::Expel(..) => Ok(()),
        }
    }

    /// The lowest number that is served at `now`, whether or not what is too old has been dropped: an alarm may come late.
    /// `room.seq + 1` when there is none.
    pub fn oldest(&self, room: &Room, retention: Retention, now: Moment) -> Result<u64> {
        const SQL: &str = "SELECT seq AS n FROM events WHERE seq > ? AND at > ? ORDER BY seq LIMIT 1";
        let floor = [number(room.seq.saturating_sub(retention.events)), now.minus(retention.age).as_f64().into()];
        Ok(self.number(SQL, floor)?.map_or(room.seq + 1, whole))
    }

    /// At most `limit` events behind `after`, in order, as JSON.
    pub fn following(&self, after: u64, limit: u32) -> Result<Vec<String>> {
        const SQL: &str = "SELECT event AS text FROM events WHERE seq > ? ORDER BY seq LIMIT ?";
        self.texts(SQL, [number(after), f64::from(limit).into()])
    }

    /// The events from `first` up to but not `end`, in order, as JSON.
    pub fn between(&self, first: u64, end: u64) -> Result<Vec<String>> {
        const SQL: &str = "SELECT event AS text FROM events WHERE seq >= ? AND seq < ? ORDER BY seq";
        self.texts(SQL, [number(first), number(end)])
    }

    /// Drops what is too old and what is too much. When the oldest that is left was told; None when nothing is.
    pub fn retain(&self, room: &Room, retention: Retention, now: Moment) -> Result<Option<Moment>> {
        let oldest = self.oldest(room, retention, now)?;
        self.drop_through(oldest.saturating_sub(1))?;
        self.run("DELETE FROM bans WHERE until <= ?", [now.as_f64().into()])?;
        Ok(self.number("SELECT at AS n FROM events WHERE seq = ?", [number(oldest)])?.map(moment))
    }

    /// The room's own row then has their last number, lest it be given again.
    fn drop_through(&self, seq: u64) -> Result<()> {
        const COUNT: &str = "UPDATE room SET (seq, last) = (SELECT seq, at FROM events WHERE seq = ?1)
            WHERE EXISTS (SELECT 1 FROM events WHERE seq = ?1)";
        self.run(COUNT, [number(seq)])?;
        self.run("DELETE FROM events WHERE seq <= ?", [number(seq)])
    }

    /// Who was told to be here: what others believe, also after the object has slept.
    pub fn present(&self) -> Result<Vec<Person>> {
        self.rows("SELECT id, name FROM present", [])
    }

    pub fn enter(&self, person: &Person) -> Result<()> {
        let row = [person.id.as_str().into(), person.name.as_str().into()];
        self.run("INSERT OR REPLACE INTO present (id, name) VALUES (?, ?)", row)
    }

    pub fn leave(&self, person: &PersonId) -> Result<()> {
        self.run("DELETE FROM present WHERE id = ?", [person.as_str().into()])
    }

    fn texts(&self, sql: &str, values: [SqlStorageValue; 2]) -> Result<Vec<String>> {
        Ok(self.rows(sql, values)?.into_iter().map(|Text { text }| text).collect())
    }

    fn event<const N: usize>(&self, sql: &str, values: [SqlStorageValue; N]) -> Result<Option<Event>> {
        let text = self.rows::<Text>(sql, values)?.pop();
        text.map(|Text { text }| serde_json::from_str(&text)).transpose().map_err(Error::from)
    }

    fn number<const N: usize>(&self, sql: &str, values: [SqlStorageValue; N]) -> Result<Option<f64>> {
        Ok(self.rows::<Number>(sql, values)?.pop().and_then(|row| row.n))
    }

    /// Not `one`, which hangs where there is no row.
    fn rows<T: for<'a> Deserialize<'a>>(&self, sql: &str, values: impl Into<Vec<SqlStorageValue>>) -> Result<Vec<T>> {
        self.sql.exec(sql, values.into())?.to_array()
    }

    fn run(&self, sql: &str, values: impl Into<Vec<SqlStorageValue>>) -> Result<()> {
        self.sql.exec(sql, values.into()).map(drop)
    }
}

pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::from)
}

fn id(text: String) -> Result<PersonId> {
    PersonId::try_from(text).map_err(Error::from)
}

/// As SQLite takes it, exactly: it would be years at any rate of messages until a number reached 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(seq: u64) -> f64 {
    seq as f64
}

fn number(seq: u64) -> SqlStorageValue {
    float(seq).into()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that `number` made")]
fn whole(n: f64) -> u64 {
    n as u64
}

fn moment(millis: f64) -> Moment {
    Moment::from_millis(whole(millis))
}
