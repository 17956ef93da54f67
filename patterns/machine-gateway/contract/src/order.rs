use serde::{Deserialize, Serialize};

/// What a machine orders; its body for `POST /v1/orders`. A member that is not known is refused, since it is most likely one
/// that was misspelt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    pub sku: Sku,
    pub quantity: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

/// An order that is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub sku: String,
    pub quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// RFC 3339, in UTC, to the millisecond.
    pub created_at: String,
}

/// Some of a principal's orders, newest first; the answer to `GET /v1/orders`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    pub orders: Vec<Order>,
    /// Where the next page begins, for the parameter `cursor`; None where there is no other, or where an orders Worker that
    /// knows no pages does not say.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

impl Page {
    /// How many orders a page holds at most, and when the parameter `limit` does not ask for fewer.
    pub const MAX: u32 = 100;
}

/// A stock-keeping unit: 1 to 64 of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Sku(String);

/// 1 to 10,000 pieces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Quantity(u32);

/// 1 to 500 characters without control characters: it is shown to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Note(String);

impl TryFrom<String> for Sku {
    type Error = &'static str;

    fn try_from(sku: String) -> Result<Self, &'static str> {
        let plain = sku.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let fits = (1..=64).contains(&sku.len());
        if plain && fits { Ok(Self(sku)) } else { Err("a sku is 1 to 64 of A-Z, a-z, 0-9, -, _ and .") }
    }
}

impl TryFrom<u32> for Quantity {
    type Error = &'static str;

    fn try_from(pieces: u32) -> Result<Self, &'static str> {
        if (1..=10_000).contains(&pieces) { Ok(Self(pieces)) } else { Err("a quantity is 1 to 10000") }
    }
}

impl TryFrom<String> for Note {
    type Error = &'static str;

    fn try_from(note: String) -> Result<Self, &'static str> {
        let fits = (1..=500).contains(&note.chars().count()) && !note.chars().any(char::is_control);
        if fits { Ok(Self(note)) } else { Err("a note is 1 to 500 characters, none of them control characters") }
    }
}

impl Sku {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Quantity {
    pub fn pieces(self) -> u32 {
        self.0
    }
}

impl Note {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<NewOrder, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_order_without_a_note_is_an_order() {
        assert!(read(r#"{"sku":"A-1","quantity":1}"#).is_ok_and(|order| order.note.is_none()));
        assert!(read(r#"{"sku":"A-1","quantity":1,"note":null}"#).is_ok_and(|order| order.note.is_none()));
    }

    #[test]
    fn a_member_out_of_bounds_of_another_type_or_unknown_is_refused() {
        for json in [
            "{}",
            r#"{"sku":"","quantity":1}"#,
            r#"{"sku":"a b","quantity":1}"#,
            r#"{"sku":"A-1","quantity":0}"#,
            r#"{"sku":"A-1","quantity":10001}"#,
            r#"{"sku":"A-1","quantity":-1}"#,
            r#"{"sku":"A-1","quantity":1.5}"#,
            r#"{"sku":"A-1","quantity":"1"}"#,
            r#"{"sku":1,"quantity":1}"#,
            r#"{"sku":"A-1","quantity":1,"note":""}"#,
            r#"{"sku":"A-1","quantity":1,"note":"a\u0000b"}"#,
            r#"{"sku":"A-1","quantity":1,"remark":"misspelt"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(read(&format!(r#"{{"sku":"{}","quantity":1}}"#, "a".repeat(65))).is_err());
        assert!(read(&format!(r#"{{"sku":"A","quantity":1,"note":"{}"}}"#, "é".repeat(501))).is_err());
        assert!(read(&format!(r#"{{"sku":"A","quantity":1,"note":"{}"}}"#, "é".repeat(500))).is_ok());
    }
}
