use worker::{D1Database, Env, Result};

/// What wrangler.toml binds, found once an isolate; a missing one is named in the log.
pub struct Bindings {
    pub db: D1Database,
    /// For `fault`.
    pub env: Env,
}

impl Bindings {
    pub fn of(env: &Env) -> Result<Self> {
        Ok(Self { db: env.d1("DB")?, env: env.clone() })
    }
}
