use worker::{D1Database, D1Type, KvStore};

use crate::domain::{Name, Plan, SignUp};
use crate::error::Error;

/// KV's key is the plan's name, its value the plan as JSON (seed.json).
pub async fn plan(plans: &KvStore, name: &Name) -> Result<Option<Plan>, Error> {
    // As text, in one crossing: `json` would have JavaScript parse it and then ask for it member by member.
    let plan = plans.get(name.as_str()).text().await.map_err(|cause| Error::Storage(cause.into()))?;
    plan.map(|plan| serde_json::from_str(&plan)).transpose().map_err(|cause| Error::Storage(cause.into()))
}

/// Signs the team up, or does nothing when the very same is stored: D1 does not retry writes, so whoever saw a time-out will
/// send this again, and the first try may have been committed.
pub async fn sign_up(db: &D1Database, signup: &SignUp) -> Result<(), Error> {
    // The WHERE lets "the same again" return its row, while "another plan" changes no row and returns none.
    const SQL: &str = "
        INSERT INTO signups (team, plan) VALUES (?1, ?2)
        ON CONFLICT (team) DO UPDATE SET plan = plan WHERE plan = excluded.plan
        RETURNING team";
    let values = [D1Type::Text(signup.team.as_str()), D1Type::Text(signup.plan.as_str())];
    let stored: Option<String> = db.prepare(SQL).bind_refs(&values)?.first(Some("team")).await?;
    stored.map(drop).ok_or(Error::HasAnotherPlan)
}
