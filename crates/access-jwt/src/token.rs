use crate::Refused;

/// A token of Access whose header is acceptable (RFC 7515 section 7.1, RS256) and whose signature is unchecked.
pub struct Token<'a>(pub(crate) jws::Token<'a>);

impl<'a> Token<'a> {
    /// What can be refused without a key: to be called before keys are fetched for anybody's sake.
    pub fn parse(token: &'a str) -> Result<Self, Refused> {
        Ok(Self(jws::Token::parse(token, "RS256")?))
    }

    /// The whole token, as it came.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}
