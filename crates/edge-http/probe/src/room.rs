//! A Durable Object that can fail wherever one can be entered.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use worker::{
    Delay, DurableObject, Env, Request, Response, Result, State, WebSocket, WebSocketIncomingMessage, WebSocketPair,
    console_log, durable_object, wasm_bindgen_futures,
};

use crate::failure::fail;

#[durable_object]
pub struct Room {
    state: State,
    memory: AssertUnwindSafe<Cell<u32>>,
    ready: AssertUnwindSafe<Rc<Cell<bool>>>,
}

#[derive(Deserialize)]
struct Count {
    n: f64,
}

#[derive(Serialize)]
struct Seen {
    memory: u32,
    stored: f64,
    late: f64,
    half: f64,
    alarms: f64,
    sockets: usize,
    ready: bool,
}

impl Room {
    fn get(&self, key: &str) -> f64 {
        let rows = self.state.storage().sql().exec("SELECT n FROM counts WHERE key = ?", vec![key.into()]);
        rows.and_then(|rows| rows.to_array::<Count>())
            .ok()
            .and_then(|rows| rows.first().map(|row| row.n))
            .unwrap_or(0.0)
    }

    fn bump(&self, key: &str) -> Result<()> {
        const SQL: &str = "INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1";
        self.state.storage().sql().exec(SQL, vec![key.into()]).map(|_| ())
    }

    fn seen(&self) -> Result<Response> {
        Response::from_json(&Seen {
            memory: self.memory.get(),
            stored: self.get("hits"),
            late: self.get("late"),
            half: self.get("half"),
            alarms: self.get("alarms"),
            sockets: self.state.get_websockets().len(),
            ready: self.ready.get(),
        })
    }
}

/// RPC of the object, listed in `entry.mjs`.
#[wasm_bindgen]
impl Room {
    pub async fn add(&self, n: u32) -> Result<u32, JsValue> {
        self.memory.set(self.memory.get() + n);
        Ok(self.memory.get())
    }

    /// Not listed: nobody may call it from outside.
    pub fn unlisted(&self) -> u32 {
        self.memory.get()
    }

    #[wasm_bindgen(js_name = attemptHereSync)]
    pub fn attempt_here_sync(&self, kind: &str) -> Result<u32, JsValue> {
        self.memory.set(self.memory.get() + 1000);
        fail(kind).map_err(JsValue::from)?;
        Ok(self.memory.get())
    }

    #[wasm_bindgen(js_name = attemptHere)]
    pub async fn attempt_here(&self, kind: String) -> Result<u32, JsValue> {
        self.memory.set(self.memory.get() + 1000);
        if kind == "slow" {
            AssertUnwindSafe(Delay::from(Duration::from_millis(600))).await;
        }
        fail(&kind).map_err(JsValue::from)?;
        Ok(self.memory.get())
    }
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        let sql = state.storage().sql();
        let _ = sql.exec("CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, n REAL) WITHOUT ROWID", None);
        // Initialisation that waits for storage: no call may see the object before it is done.
        // What makes it fail, once, lies in KV: a failure that resets the object would roll its own storage back. It is for this
        // room alone, since another one may be built at the same time.
        let ready = Rc::new(Cell::new(false));
        let done = ready.clone();
        let note = format!("fail-when-initialised-{}", state.id().name().unwrap_or_default());
        let init = state.block_concurrency_while(async move {
            let notes = env.kv("NOTES")?;
            if let Some(kind) = notes.get(&note).text().await? {
                notes.delete(&note).await?;
                fail(&kind)?;
            }
            done.set(true);
            Ok(())
        });
        wasm_bindgen_futures::spawn_local(async move {
            let _ = init.await;
        });
        let room = Self { state, memory: AssertUnwindSafe(Cell::new(0)), ready: AssertUnwindSafe(ready) };
        for kind in ["panic", "unreachable", "overflow", "oom", "jsthrow"] {
            if room.get(kind) > 0.0 {
                let _ = sql.exec("DELETE FROM counts WHERE key = ?", vec![kind.into()]); // fails once
                let _ = fail(kind);
            }
        }
        room
    }

    /// `/room/NAME/VERB/ARGUMENT`
    async fn fetch(&self, req: Request) -> Result<Response> {
        let path = req.path();
        let mut parts = path.split('/').skip(3);
        match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
            ("hit", _) => {
                self.memory.set(self.memory.get() + 1);
                self.bump("hits")?;
                self.seen()
            }
            ("see", _) => self.seen(),
            ("slow", ms) => {
                Delay::from(Duration::from_millis(ms.parse().unwrap_or(600))).await;
                self.bump("late")?;
                self.seen()
            }
            ("socket", tag) => {
                let pair = WebSocketPair::new()?;
                self.state.accept_websocket_with_tags(&pair.server, &[tag]);
                Response::from_websocket(pair.client)
            }
            // Half a change: memory and storage, then the failure, nothing awaited between.
            ("fail", kind) => {
                self.memory.set(self.memory.get() + 1000);
                self.bump("half")?;
                fail(kind)?;
                self.seen()
            }
            ("fail-when-built", kind) => {
                self.bump(kind)?;
                self.seen()
            }
            // Half a change, and a failure in what goes on after the answer.
            ("wait", kind) => {
                self.memory.set(self.memory.get() + 1000);
                let kind = kind.to_owned();
                self.state.wait_until(async move {
                    Delay::from(Duration::from_millis(20)).await;
                    let _ = fail(&kind);
                });
                self.seen()
            }
            ("alarm", kind) => {
                self.state.storage().put("alarm", kind).await?;
                self.state.storage().set_alarm(50i64).await?;
                self.seen()
            }
            _ => Response::error("no such verb", 404),
        }
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        let WebSocketIncomingMessage::String(text) = message else { return Ok(()) };
        self.memory.set(self.memory.get() + 1);
        if let Some(kind) = text.strip_prefix("fail-") {
            fail(kind)?;
        }
        socket.send_with_str(format!("{text} memory={}", self.memory.get()))
    }

    async fn websocket_close(&self, _: WebSocket, _: usize, reason: String, _: bool) -> Result<()> {
        console_log!("closed {reason}");
        fail(&reason)
    }

    async fn websocket_error(&self, _: WebSocket, _: worker::Error) -> Result<()> {
        Ok(())
    }

    /// Fails at the first attempt.
    async fn alarm(&self) -> Result<Response> {
        let kind: Option<String> = self.state.storage().get("alarm").await?;
        self.bump("alarms")?;
        if self.get("alarms") < 2.0 {
            fail(&kind.unwrap_or_default())?;
        }
        Response::ok("rang")
    }
}
