//! Many clients, one coordinator a room, nothing lost.
//!
//! A request enters [`routes`]: a session is given or checked there, and who is in it goes to the room's object ([`rooms`]).
//! A frame enters `entry.mjs`, which hands it to [`room_object`]. There a turn of [`live_room`] reads it, has [`domain`] decide, has [`store`] write, and tells the
//! others. The protocol is described in `PROTOCOL.md`.
//!
//! Promises:
//! - What is acknowledged is stored, and has a number without gaps. Sent again, it has the number that it had.
//! - Who comes back with the last number that they saw gets everything behind it, or is told that something is missing.
//! - Nobody speaks as another: who somebody is comes from a signed session and is kept with the socket.

mod config;
mod connections;
mod domain;
mod error;
mod live_room;
mod platform;
mod room_object;
mod rooms;
mod routes;
mod store;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(routes::router);

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
