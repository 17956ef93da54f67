use worker::{Env, Error, RateLimiter, Result};

use crate::domain::session::Secrets;
use crate::rooms::Rooms;
use crate::store::Retention;

/// What wrangler.toml binds and sets for the Worker, found once an isolate; what is missing or wrong is named in the log.
pub struct Bindings {
    /// An object a room, by the room's name.
    pub rooms: Rooms,
    pub limiter: RateLimiter,
    pub secrets: Secrets,
}

impl Bindings {
    pub fn of(env: &Env) -> Result<Self> {
        let secrets = Secrets::parse(&env.secret("SESSION_SECRET")?.to_string());
        Ok(Self {
            rooms: Rooms(env.durable_object("ROOM")?),
            limiter: env.rate_limiter("LIMITER")?,
            secrets: secrets.map_err(|why| Error::RustError(format!("secret SESSION_SECRET: {why}")))?,
        })
    }
}

impl Retention {
    /// What an object keeps.
    pub fn of(env: &Env) -> Result<Self> {
        let number = |name, text: String| {
            let number = text.parse::<u64>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| Error::RustError(format!("variable {name}: not a whole number above 0")))
        };
        let age = number("RETENTION_SECONDS", env.var("RETENTION_SECONDS")?.to_string())?.saturating_mul(1000);
        let events = number("RETENTION_EVENTS", env.var("RETENTION_EVENTS")?.to_string())?;
        Ok(Self { age, events })
    }
}
