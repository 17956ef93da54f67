use serde::{Deserialize, Serialize};

/// The name of a team or of a plan: 1 to 32 of `a-z`, `0-9`, `-`. It is a KV key and a primary key, so it is compared byte by
/// byte, and upper case is refused rather than folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    pub const MAX: usize = 32;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let fits = (1..=Self::MAX).contains(&name.len());
        if plain && fits { Ok(Self(name)) } else { Err("a name is 1 to 32 of a-z, 0-9 and -") }
    }
}

/// What a plan offers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub seats: u32,
    /// A month, in euro cents.
    pub price_cents: u32,
}

/// A team's wish to use a plan.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    pub team: Name,
    pub plan: Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(Name::try_from("acme-2".to_owned()).is_ok());
        for wrong in ["", "Acme", "a b", "é", "a/b", &"a".repeat(Name::MAX + 1)] {
            assert!(Name::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
