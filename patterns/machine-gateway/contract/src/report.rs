use serde::{Deserialize, Serialize};

use crate::ReportId;
use crate::message::Message;

/// Which orders a report is about; a machine's body for `POST /v1/reports`, and what goes to the reports Worker. Both days
/// belong to it; without one there is no bound on that side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Days")]
pub struct NewReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Date>,
}

/// A day of UTC's calendar: RFC 3339's `full-date`, `2026-11-17`. Its texts sort as the days do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Date(String);

/// A report that is stored: how much of each SKU was ordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub id: ReportId,
    /// RFC 3339, in UTC, to the millisecond.
    pub created_at: String,
    #[serde(flatten)]
    pub about: NewReport,
    pub orders: u64,
    pub pieces: u64,
    /// Sorted by `sku`.
    pub skus: Vec<ReportedSku>,
    /// There were too many orders: only the latest of them are in it.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedSku {
    pub sku: String,
    pub orders: u64,
    pub pieces: u64,
}

/// What both methods of the entrypoint `Reports` answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportAnswer {
    /// The report that was made or found.
    Report(Report),
    /// The principal has no report of this id.
    NoSuchReport,
    /// The reports Worker, or the orders Worker that it asked, does not understand: nothing was done.
    NotUnderstood,
}

/// As it comes, before the two days are compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Days {
    #[serde(default)]
    from: Option<Date>,
    #[serde(default)]
    to: Option<Date>,
}

impl Message for NewReport {}

impl Message for ReportAnswer {}

impl TryFrom<Days> for NewReport {
    type Error = &'static str;

    fn try_from(Days { from, to }: Days) -> Result<Self, &'static str> {
        if from.is_some() && to.is_some() && from > to {
            return Err("a report's from is not after its to");
        }
        Ok(Self { from, to })
    }
}

impl TryFrom<String> for Date {
    type Error = &'static str;

    fn try_from(day: String) -> Result<Self, &'static str> {
        if is_date(&day) { Ok(Self(day)) } else { Err("a date is YYYY-MM-DD, a day that there is") }
    }
}

/// Section 5.6 and appendix C of RFC 3339. (A dozen lines; a calendar library would be most of the Worker.)
fn is_date(day: &str) -> bool {
    let digits_and_dashes = day.len() == 10
        && day.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    let mut numbers = day.split('-').map_while(|number| number.parse().ok());
    let (Some(year), Some(month), Some(day)) = (numbers.next(), numbers.next(), numbers.next()) else { return false };
    let is_leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    };
    digits_and_dashes && (1..=days).contains(&day)
}

impl NewReport {
    /// Whether what was created at this moment (RFC 3339, in UTC) belongs to it.
    pub fn covers(&self, created_at: &str) -> bool {
        let day = created_at.get(..10).unwrap_or(created_at);
        !self.begins_after(created_at) && self.to.as_ref().is_none_or(|to| day <= to.0.as_str())
    }

    /// Whether this moment, and so all before it, is earlier than all that belongs to it.
    pub fn begins_after(&self, created_at: &str) -> bool {
        let day = created_at.get(..10).unwrap_or(created_at);
        self.from.as_ref().is_some_and(|from| day < from.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_that_there_is() {
        for day in ["2026-11-17", "2024-02-29", "2000-02-29", "2026-12-31", "0001-01-01"] {
            assert!(is_date(day), "{day}");
        }
        for day in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-04-31",
            "2026-02-29",
            "1900-02-29",
            "26-11-17",
            "2026-1-17",
            "2026-11-7 ",
            "2026/11/17",
            "2026-11-17T00:00:00Z",
            "+026-11-17",
            "２026-11-1",
        ] {
            assert!(!is_date(day), "{day}");
        }
    }

    #[test]
    fn what_a_report_is_about_is_two_days_at_most_in_their_order() {
        for json in [r"{}", r#"{"from":null}"#, r#"{"from":"2026-11-17","to":"2026-11-17"}"#, r#"{"to":"2026-11-17"}"#]
        {
            assert!(NewReport::read(json).is_some(), "{json}");
        }
        for json in [r#"{"from":"2026-11-18","to":"2026-11-17"}"#, r#"{"since":"2026-11-17"}"#, r#"{"from":7}"#, "null"]
        {
            assert!(NewReport::read(json).is_none(), "{json}");
        }
    }

    #[test]
    fn both_days_belong_to_it() {
        let about = NewReport::read(r#"{"from":"2026-11-16","to":"2026-11-17"}"#).unwrap();
        let covered = [
            "2026-11-15T23:59:59.999Z",
            "2026-11-16T00:00:00.000Z",
            "2026-11-17T23:59:59.999Z",
            "2026-11-18T00:00:00.000Z",
        ]
        .map(|moment| (about.covers(moment), about.begins_after(moment)));
        assert_eq!(covered, [(false, true), (true, false), (true, false), (false, false)]);
        assert!(NewReport::default().covers("2026-11-15T23:59:59.999Z"));
    }
}
