use crate::Invalid;

/// An application's audience tag ("AUD tag"), which Access puts into `aud` (documentation page "Validate JWTs").
/// Access makes them of 64 hexadecimal digits; any 1 to 128 visible ASCII characters are taken. An empty one, which a
/// forgotten variable would give, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    /// Bytes of the longest tag.
    pub const MAX: usize = 128;

    /// Takes the tag as it is.
    ///
    /// # Errors
    /// [`Invalid`] when the tag is empty, too long or holds anything but visible ASCII.
    pub fn parse(tag: &str) -> Result<Self, Invalid> {
        if tag.is_empty() || tag.len() > Self::MAX || !tag.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid("an audience is 1 to 128 visible ASCII characters"));
        }
        Ok(Self(tag.to_owned()))
    }

    /// The tag, as `aud` holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_audience_is_refused() {
        assert!(Audience::parse("").is_err());
        assert!(Audience::parse("two words").is_err());
        assert!(Audience::parse(&"a".repeat(129)).is_err());
        assert_eq!(Audience::parse(&"a".repeat(128)).unwrap().as_str().len(), 128);
    }
}
