use serde::{Deserialize, Serialize};

/// What an order is called: a UUID in lower case (RFC 9562, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct OrderId(String);

/// What a report is called: a UUID in lower case (RFC 9562, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ReportId(String);

impl TryFrom<String> for OrderId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        if is_uuid(&id) { Ok(Self(id)) } else { Err("an order's id is a UUID in lower case") }
    }
}

impl TryFrom<String> for ReportId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        if is_uuid(&id) { Ok(Self(id)) } else { Err("a report's id is a UUID in lower case") }
    }
}

impl OrderId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ReportId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert!(is_uuid("123e4567-e89b-42d3-a456-426614174000"));
        for wrong in
            ["", "123E4567-e89b-42d3-a456-426614174000", "123e4567e89b42d3a456426614174000", "é".repeat(18).as_str()]
        {
            assert!(OrderId::try_from(wrong.to_owned()).is_err(), "{wrong}");
            assert!(ReportId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
