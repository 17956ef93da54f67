use worker::{D1Database, D1Type, KvStore};

use crate::domain::{Name, Plan, SignUp};
use crate::error::Error;

/// KV's key is the plan's name, its value the plan as JSON (seed.json).
pub async fn plan(plans: &KvStore, name: &Name) -> Result<Option<Plan>, Error> {
    plans.get(name.as_str()).json().await.map_err(|cause| Error::Storage(cause.into()))
}

/// Signs the team up, or does nothing when the very same is stored: D1 does not retry writes, so whoever saw a time-out will
/// send this again, and the first try may have been committed.
pub async fn sign_up(db: &D1Database, signup: &SignUp) -> Result<(), Error> {
    // The WHERE lets "the same again" count as a change, while "another plan" changes no row.
    const SQL: &str = "
        INSERT INTO signups (team, plan) VALUES (?1, ?2)
        ON CONFLICT (team) DO UPDATE SET plan = plan WHERE plan = excluded.plan";
    let values = [D1Type::Text(signup.team.as_str()), D1Type::Text(signup.plan.as_str())];
    let meta = db.prepare(SQL).bind_refs(&values)?.run().await?.meta()?;
    match meta.and_then(|meta| meta.changes) {
        Some(0) => Err(Error::HasAnotherPlan),
        Some(_) => Ok(()),
        None => Err(Error::Storage("D1 does not say what it changed".into())),
    }
}
