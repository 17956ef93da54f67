use contract::{PrincipalId, Report, ReportId};
use worker::{Bucket, Error, HttpMetadata, Result};

/// Another principal's report lies under another key, so that it cannot be found by mistake. Neither part holds a slash.
fn key(principal: &PrincipalId, id: &ReportId) -> String {
    format!("{}/{}", principal.as_str(), id.as_str())
}

pub async fn put(bucket: &Bucket, principal: &PrincipalId, report: &Report) -> Result<()> {
    let json = HttpMetadata { content_type: Some("application/json".into()), ..HttpMetadata::default() };
    bucket.put(key(principal, &report.id), serde_json::to_string(report)?).http_metadata(json).execute().await?;
    Ok(())
}

/// The principal's report of this id.
pub async fn get(bucket: &Bucket, principal: &PrincipalId, id: &ReportId) -> Result<Option<Report>> {
    let Some(object) = bucket.get(key(principal, id)).execute().await? else { return Ok(None) };
    let body = object.body().ok_or_else(|| Error::RustError("a stored report has no body".into()))?;
    Ok(Some(serde_json::from_str(&body.text().await?)?))
}
