use serde::{Deserialize, Serialize};

use crate::message::{Message, Version1};

/// Asks for old orders to be deleted, some at a time: until [`PurgeAnswer::Purged`] says that there are no more. To ask
/// again does no harm.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    v: Version1,
    pub retention_days: Retention,
    /// W3C Trace Context, so that both Workers' log lines belong together.
    pub traceparent: String,
    /// What the run is called in both logs.
    pub request_id: String,
}

/// How long an order is kept, in days: 30 to 3,650. A slip in a configuration must not empty the table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Retention(u32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PurgeAnswer {
    /// So many were deleted now; `more` says whether there may be others left.
    Purged { deleted: u32, more: bool },
    /// Nothing was done.
    NotUnderstood,
}

impl Message for Purge {}

impl Message for PurgeAnswer {}

impl TryFrom<u32> for Retention {
    type Error = &'static str;

    fn try_from(days: u32) -> Result<Self, &'static str> {
        if (30..=3650).contains(&days) { Ok(Self(days)) } else { Err("a retention is 30 to 3650 days") }
    }
}

impl Retention {
    pub fn days(self) -> u32 {
        self.0
    }
}

impl Purge {
    pub fn new(retention_days: Retention, traceparent: String, request_id: String) -> Self {
        Self { v: Version1, retention_days, traceparent, request_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_that_would_delete_nearly_everything_is_not_understood() {
        let read = |days| {
            Purge::read(&format!(r#"{{"v":1,"retention_days":{days},"traceparent":"","request_id":""}}"#)).is_some()
        };
        assert!(read("30") && read("400") && read("3650"));
        assert!(!read("0") && !read("29") && !read("3651") && !read("-1") && !read("null"));
    }
}
