//! What a call from wasm for each socket costs: an object that says the same text to all of them, each time in the way that the
//! message asks for. It stores nothing and checks nothing, so nothing else differs.

use js_sys::JsString;
use wasm_bindgen::prelude::*;
use worker::{
    Context, DurableObject, Env, Method, Request, Response, Result, State, WebSocket, WebSocketIncomingMessage,
    WebSocketPair, durable_object, event, web_sys,
};

/// An event as a room would tell it.
const TEXT: &str = r#"{"type":"message","seq":100,"id":"c-00000000","author":{"id":"00000000-0000-4000-8000-000000000000","name":"Person 100"},"text":"Shall we meet at the harbour at seven? I can bring the maps and something to eat.","at":"2027-01-15T08:00:00.000Z"}"#;

#[wasm_bindgen(module = "/src/say.js")]
extern "C" {
    fn all(ctx: &JsValue, text: &str);
    #[wasm_bindgen(catch)]
    fn one(socket: &web_sys::WebSocket, text: &JsString) -> Result<(), JsValue>;
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
}

impl DurableObject for Room {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
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
        if message.contains("one call") {
            all(self.state.as_raw(), TEXT);
        } else if message.contains("one string") {
            let text = JsString::from(TEXT);
            for socket in self.state.get_websockets() {
                let _ = one(socket.as_ref(), &text); // it is closing
            }
        } else {
            for socket in self.state.get_websockets() {
                let _ = socket.send_with_str(TEXT); // it is closing
            }
        }
        socket.send_with_str(r#"{"type":"ack"}"#)
    }

    async fn websocket_close(&self, _socket: WebSocket, _code: usize, _reason: String, _was_clean: bool) -> Result<()> {
        Ok(())
    }
}
