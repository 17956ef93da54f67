use serde::{Deserialize, Serialize};

/// The name of a room: 1 to 64 of `a-z`, `0-9`, `-`. It names an object, so it is compared byte by byte, and upper case is
/// refused rather than folded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomId(String);

impl RoomId {
    pub const MAX: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        let plain = id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let fits = (1..=Self::MAX).contains(&id.len());
        if plain && fits { Ok(Self(id)) } else { Err("a room's name is 1 to 64 of a-z, 0-9 and -") }
    }
}

/// Who a person is, for as long as their session lasts; two of the same name differ in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonId(String);

impl PersonId {
    /// A UUID has 36.
    pub const MAX: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let fits = (1..=Self::MAX).contains(&id.len());
        if plain && fits { Ok(Self(id)) } else { Err("a person's id is 1 to 64 letters, digits and -") }
    }
}

/// What a person is called: 1 to 40 characters, without white space around them, and none that control anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    pub const MAX: usize = 40;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        let name = name.trim();
        let fits = (1..=Self::MAX).contains(&name.chars().take(Self::MAX + 1).count());
        let visible = name.chars().any(|c| !is_invisible(c)) && !name.chars().any(char::is_control);
        if fits && visible { Ok(Self(name.to_owned())) } else { Err("a name is 1 to 40 visible characters") }
    }
}

/// A person as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    pub name: Name,
}

/// What a client calls one command of its own: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CommandId(String);

impl CommandId {
    pub const MAX: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CommandId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, &'static str> {
        let plain = id.bytes().all(|b| b.is_ascii_graphic());
        let fits = (1..=Self::MAX).contains(&id.len());
        if plain && fits { Ok(Self(id)) } else { Err("an id is 1 to 64 visible ASCII characters") }
    }
}

/// What a message says: 1 to 4,000 characters, something visible among them; line feeds and tabs, but nothing else that
/// controls a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    pub const MAX: usize = 4000;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits = text.len() <= Self::MAX || text.chars().take(Self::MAX + 1).count() <= Self::MAX;
        if !fits {
            return Err("a text is 4,000 characters at most");
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err("a text has no control characters but line feed and tab");
        }
        if text.chars().all(is_invisible) {
            return Err("a text says something");
        }
        Ok(Self(text))
    }
}

/// White space, and what takes no space at all: a name of these would be none.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rooms_name_is_short_and_plain() {
        for right in ["a", "lobby-2", &"a".repeat(RoomId::MAX)] {
            assert!(RoomId::try_from(right.to_owned()).is_ok(), "{right}");
        }
        for wrong in ["", "Lobby", "a b", "é", "a/b", "..", "a\n", &"a".repeat(RoomId::MAX + 1)] {
            assert!(RoomId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_persons_name_is_visible_and_has_no_space_around_it() {
        let name = |name: &str| Name::try_from(name.to_owned()).map(|Name(name)| name).ok();
        assert_eq!(name("  Ann Ü 🙂 "), Some("Ann Ü 🙂".into()));
        assert_eq!(name(&"é".repeat(Name::MAX)), Some("é".repeat(Name::MAX)));
        for wrong in ["", "   ", "\u{200b}\u{feff}", "a\nb", "a\u{7}", "a\u{85}b", &"é".repeat(Name::MAX + 1)] {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_text_is_counted_in_characters_and_says_something() {
        let text = |text: &str| Text::try_from(text.to_owned()).is_ok();
        for right in ["hi", "two\nlines\tand a tab", "<b>", "\u{202e}backwards", &"🙂".repeat(Text::MAX)] {
            assert!(text(right), "{right:?}");
        }
        for wrong in [
            "",
            " \n\t ",
            "\u{200b}",
            "a\0",
            "a\u{1b}[2J",
            "a\r\n",
            &"🙂".repeat(Text::MAX + 1),
            &"a".repeat(Text::MAX + 1),
        ] {
            assert!(!text(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn an_id_is_visible_ascii() {
        for right in ["c-1", "~!", &"x".repeat(CommandId::MAX)] {
            assert!(CommandId::try_from(right.to_owned()).is_ok(), "{right}");
        }
        for wrong in ["", "a b", "é", "a\n", &"x".repeat(CommandId::MAX + 1)] {
            assert!(CommandId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
