use worker::{D1Database, Env, KvStore, Result};

/// What wrangler.toml binds, found once an isolate; a missing one is named in the log.
pub struct Bindings {
    /// Read often, written by hand: a change takes a minute or more to be seen everywhere.
    pub plans: KvStore,
    /// Where it must be right: one writer, transactions.
    pub db: D1Database,
}

impl Bindings {
    pub fn of(env: &Env) -> Result<Self> {
        Ok(Self { plans: env.kv("PLANS")?, db: env.d1("DB")? })
    }
}
