//! What a call from wasm for each socket costs: an object that tells the same to many, each time in the way that the message asks
//! for. They are no sockets, which would cost thirty times as much and hide it, but have a socket's `send`.

use js_sys::{Array, JsString};
use wasm_bindgen::prelude::*;
use worker::{
    Context, DurableObject, Env, Method, Request, Response, Result, State, WebSocket, WebSocketIncomingMessage,
    WebSocketPair, durable_object, event, web_sys,
};

/// As many as a large room has, and many times over, so that nothing else of a message counts.
const SOCKETS: u32 = 200;
const TIMES: usize = 20;
/// An event as a room would tell it.
const TEXT: &str = r#"{"type":"message","seq":100,"id":"c-00000000","author":{"id":"00000000-0000-4000-8000-000000000000","name":"Person 100"},"text":"Shall we meet at the harbour at seven? I can bring the maps and something to eat.","at":"2027-01-15T08:00:00.000Z"}"#;

#[wasm_bindgen(module = "/src/say.js")]
extern "C" {
    fn listeners(count: u32) -> Array;
    fn all(listeners: &Array, text: &str);
    #[wasm_bindgen(catch)]
    fn one(listener: &web_sys::WebSocket, text: &JsString) -> std::result::Result<(), JsValue>;
}

#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    match req.method() {
        Method::Post => Response::ok(r#"{"token":"t"}"#),
        _ => env.durable_object("ROOM")?.get_by_name(&req.path())?.fetch_with_request(req).await,
    }
}

#[durable_object]
pub struct Room {
    state: State,
    together: Array,
    /// The same ones, as a room in Rust would hold its sockets.
    each: Vec<web_sys::WebSocket>,
}

impl DurableObject for Room {
    fn new(state: State, _env: Env) -> Self {
        let together = listeners(SOCKETS);
        let each = together.iter().map(JsCast::unchecked_into).collect();
        Self { state, together, each }
    }

    async fn fetch(&self, _req: Request) -> Result<Response> {
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        self.state.accept_web_socket(&server);
        Response::from_websocket(client)
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        let WebSocketIncomingMessage::String(message) = message else { return Ok(()) };
        if message.contains("hello") {
            return socket.send_with_str(r#"{"type":"welcome"}"#);
        }
        for _ in 0..TIMES {
            if message.contains("one call") {
                all(&self.together, TEXT);
            } else if message.contains("one string") {
                let text = JsString::from(TEXT);
                for listener in &self.each {
                    one(listener, &text)?;
                }
            } else {
                for listener in &self.each {
                    listener.send_with_str(TEXT)?;
                }
            }
        }
        socket.send_with_str(r#"{"type":"message"}"#)?;
        socket.send_with_str(r#"{"type":"ack"}"#)
    }

    async fn websocket_close(&self, _socket: WebSocket, _code: usize, _reason: String, _was_clean: bool) -> Result<()> {
        Ok(())
    }
}
