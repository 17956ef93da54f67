use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: milliseconds since 1970, as JavaScript has it. In JSON RFC 3339, in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The last one that RFC 3339 can write: the end of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    pub fn from_millis(millis: u64) -> Self {
        Self(millis).min(Self::MAX)
    }

    pub fn millis(self) -> u64 {
        self.0
    }

    /// As a column of SQLite, exactly: 2^53 is far.
    #[expect(clippy::cast_precision_loss, reason = "MAX is below 2^53")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// Milliseconds from `earlier` to this; 0 when it is the other way round, since clocks may go back.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub fn plus(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    pub fn minus(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// RFC 3339, section 5.6, with any offset. None for anything else, and for what lies before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        u64::try_from(millis).ok().map(Self::from_millis)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let moment = i64::try_from(self.0).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time of RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_to_the_millisecond_and_read_with_any_offset() {
        let moment = Moment::from_millis(1_800_000_000_007);
        assert_eq!(moment.to_string(), "2027-01-15T08:00:00.007Z");
        assert_eq!(Moment::parse("2027-01-15T09:00:00.007+01:00"), Some(moment));
        assert_eq!(Moment::parse(&Moment::MAX.to_string()), Some(Moment::MAX));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in
            ["", "tomorrow", "2027-01-15", "2027-13-15T08:00:00Z", "1969-12-31T23:59:59Z", "2027-01-15T08:00:00"]
        {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
