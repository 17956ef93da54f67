use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use edge_http::fault;
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, durable_object};

/// What one principal has sent that is good once: the object of its name.
///
/// - Whether a name was there and that it is now is one statement of one turn, and no answer leaves before it is on disk. So
///   of any number of calls with one name at most one is ever answered `true`: whatever ends the object in between, the name
///   is either stored or nobody was told that it was admitted.
/// - Nothing that matters lives only in `self`: `rows` is counted anew when the object is built, and an `alarm` that is
///   forgotten costs one more write.
/// - A row that has expired is as if it were not there, cleared or not: an alarm may come late, or, after six failures, never.
/// - Two versions of this Worker run side by side: a call keeps its arguments for as long as the other one may send it.
///
/// An object takes about a thousand calls a second, which is ten times what the rate limit lets a principal send.
#[durable_object]
pub struct Nonces {
    state: State,
    env: Env,
    /// How many rows there are, expired ones among them; None until the table has been looked at.
    rows: AssertUnwindSafe<Cell<Option<f64>>>,
    /// Whether an alarm is known to be set.
    alarm: AssertUnwindSafe<Cell<bool>>,
    /// When there were too many names, and expired ones were looked for, the last time.
    searched: AssertUnwindSafe<Cell<f64>>,
}

/// More than the rate limit lets through at two locations in the time that a signature is good for.
const MAX_ROWS: f64 = 100_000.0;

/// Milliseconds between two searches for expired names while there are too many: each reads the whole table.
const SEARCH_INTERVAL: f64 = 2_000.0;

/// Milliseconds between two alarms, or each row would want one of its own.
const ALARM_INTERVAL: f64 = 60_000.0;

/// A row of any of the statements below.
#[derive(Deserialize)]
struct Number {
    n: Option<f64>,
}

/// RPC of the object, listed in `entry.mjs`.
#[wasm_bindgen]
impl Nonces {
    /// Whether `name` comes for the first time; it is then remembered until `until`. Both times are milliseconds since 1970, by
    /// the caller's clock; `until` has to outlast what makes the name good by any caller's clock.
    pub async fn admit(&self, name: String, until: f64, now: f64) -> Result<bool, JsValue> {
        const SQL: &str = "
            INSERT INTO nonces (name, until) VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE until <= ?
            RETURNING until AS n";
        AssertUnwindSafe(fault(&self.env, "nonces")).await?; // tests only: before the turn, never inside
        let mut rows = self.open()?;
        if rows >= MAX_ROWS && js_sys::Date::now() - self.searched.get() >= SEARCH_INTERVAL {
            // The alarm does it in time, unless it failed for good.
            self.forget(now)?;
            rows = self.open()?;
            self.searched.set(js_sys::Date::now());
        }
        if rows >= MAX_ROWS {
            return Err("too many names are remembered: wait until they expire".into());
        }
        let is_new =
            !self.sql().exec(SQL, vec![name.into(), until.into(), now.into()])?.to_array::<Number>()?.is_empty();
        self.rows.set(Some(if is_new { rows + 1.0 } else { rows }));
        if !self.alarm.get() {
            // Not for this name: the alarm that is set here takes the place of one that was set before a restart.
            let next = self.number(NEXT)?.unwrap_or(until);
            self.wake_after(next - now).await?;
            self.alarm.set(true);
        }
        Ok(is_new)
    }
}

/// When the first row expires.
const NEXT: &str = "SELECT min(until) AS n FROM nonces";

impl Nonces {
    /// Makes the table where there is none, and says how many rows it has.
    fn open(&self) -> Result<f64> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        self.sql().exec(
            "CREATE TABLE IF NOT EXISTS nonces (name TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
            None,
        )?;
        let rows = self.number("SELECT count(*) AS n FROM nonces")?.unwrap_or_default();
        self.rows.set(Some(rows));
        Ok(rows)
    }

    fn forget(&self, now: f64) -> Result<()> {
        self.rows.set(None);
        self.sql().exec("DELETE FROM nonces WHERE until <= ?", vec![now.into()]).map(|_| ())
    }

    fn number(&self, query: &str) -> Result<Option<f64>> {
        Ok(self.sql().exec(query, None)?.to_array::<Number>()?.first().and_then(|row| row.n))
    }

    fn sql(&self) -> SqlStorage {
        self.state.storage().sql()
    }

    async fn wake_after(&self, ms: f64) -> Result<()> {
        let delay = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default(); // what is past: at once
        self.state.storage().set_alarm(delay).await
    }
}

impl DurableObject for Nonces {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            rows: AssertUnwindSafe(Cell::new(None)),
            alarm: AssertUnwindSafe(Cell::new(false)),
            searched: AssertUnwindSafe(Cell::new(0.0)),
        }
    }

    async fn fetch(&self, _: Request) -> Result<Response> {
        Response::error("", 404)
    }

    /// Forgets what has expired, and the table with the last of it: an object without storage costs nothing.
    async fn alarm(&self) -> Result<Response> {
        self.open()?;
        let now = js_sys::Date::now();
        self.forget(now)?;
        let next = self.number(NEXT)?;
        self.alarm.set(next.is_some());
        match next {
            Some(until) => self.wake_after((until - now).max(ALARM_INTERVAL)).await?,
            None => self.state.storage().delete_all().await?,
        }
        Response::empty()
    }
}
