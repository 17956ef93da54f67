use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::{Order, OrderId};
use serde::Deserialize;

/// Where a page begins: behind this order. To a caller it is opaque; it need not be secret, since it holds nothing but what
/// the caller has seen, and a page is the caller's own whatever it says.
///
/// It names a place in the sequence and not a number of orders to skip, so that orders that come meanwhile, or go, neither
/// show one twice nor hide one.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor {
    pub created_at: String,
    pub id: OrderId,
}

/// How a moment is stored: RFC 3339, in UTC, to the millisecond. A 0 stands for any digit.
const MOMENT: &[u8] = b"0000-00-00T00:00:00.000Z";

impl Cursor {
    /// The place behind `order`, as text.
    pub fn behind(order: &Order) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}{}", order.created_at, order.id))
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        read(&text).ok_or("a cursor is the next_cursor of an earlier page")
    }
}

fn read(text: &str) -> Option<Cursor> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (created_at, id) = text.split_at_checked(MOMENT.len())?;
    let is_moment =
        created_at.bytes().zip(MOMENT).all(|(b, like)| if *like == b'0' { b.is_ascii_digit() } else { b == *like });
    let id = OrderId::try_from(id.to_owned()).ok()?;
    is_moment.then(|| Cursor { created_at: created_at.to_owned(), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND: &str = "2026-11-17T12:00:00.000Z123e4567-e89b-42d3-a456-426614174000";

    #[test]
    fn a_cursor_is_read_as_it_was_given() {
        let order: Order = serde_json::from_str(
            r#"{"id":"123e4567-e89b-42d3-a456-426614174000","sku":"A","quantity":1,"created_at":"2026-11-17T12:00:00.000Z"}"#,
        )
        .unwrap();
        let cursor = Cursor::try_from(Cursor::behind(&order)).unwrap();
        assert_eq!((cursor.created_at, cursor.id.as_str()), (order.created_at, order.id.as_str()));
    }

    #[test]
    fn what_was_not_given_is_not_read() {
        let whole = URL_SAFE_NO_PAD.encode(BEHIND);
        assert!(read(&whole).is_some());
        for text in [
            String::new(),
            whole.replacen('M', "+", 1),
            format!("{whole}="),
            format!("{whole}A"),
            whole.replacen('M', "", 1),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
        for inside in [
            "",
            "x",
            "2026-11-17",
            BEHIND.trim_start_matches('2'),
            &BEHIND.replace('T', " "),
            &BEHIND.replace("12:", "é:"),
            &BEHIND.replace('e', "E"),
            &format!("{BEHIND}0"),
        ] {
            assert_eq!(read(&URL_SAFE_NO_PAD.encode(inside)), None, "{inside}");
        }
        assert_eq!(read(&URL_SAFE_NO_PAD.encode([0xff; 60])), None);
    }

    #[test]
    fn a_place_has_one_spelling() {
        // 60 bytes end with the fourth character of a group: there are no bits left that could differ.
        assert_eq!(URL_SAFE_NO_PAD.encode(BEHIND).len(), 80);
    }
}
