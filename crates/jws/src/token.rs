use crate::Refused;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

/// Bytes of the longest token that is looked at: it arrives in a header, and those of Cloudflare Access have 1 to 4 KiB.
pub const MAX_TOKEN: usize = 8 * 1024;

/// A token whose header is acceptable and whose signature is unchecked.
pub struct Token<'a> {
    text: &'a str,
    kid: String,
    signing_input: &'a str,
    signature: Vec<u8>,
    payload: &'a str,
}

/// What is read of the JOSE header (RFC 7515 section 4.1). `jwk`, `jku` and `x5u` are left alone: a token must not bring
/// its own key (RFC 8725 section 3.10).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl<'a> Token<'a> {
    /// Refuses what can be refused without a key: to be called before a key is looked for. `alg` is the algorithm that
    /// the keys are for (RFC 7518 section 3.1), compared byte for byte.
    ///
    /// # Errors
    /// [`Refused::Malformed`], [`Refused::Algorithm`], [`Refused::Critical`] or [`Refused::Type`].
    pub fn parse(token: &'a str, alg: &str) -> Result<Self, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::Malformed);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        // With a fourth part, `payload` holds a dot and does not decode.
        let (header, payload) = signing_input.split_once('.').ok_or(Refused::Malformed)?;
        let header: Header = object(&decode(header)?)?;
        if header.alg != alg {
            return Err(Refused::Algorithm);
        }
        if header.crit {
            return Err(Refused::Critical);
        }
        if header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Refused::Type);
        }
        let kid = header.kid.ok_or(Refused::Malformed)?;
        Ok(Self { text: token, kid, signing_input, signature: decode(signature)?, payload })
    }

    /// The whole token, as it came.
    pub fn as_str(&self) -> &str {
        self.text
    }

    /// Which key is said to have signed: a name to look up, and nothing more. As long as the token lets it be.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What was signed: `header.payload` as it came, never as we would write it (RFC 7515 section 5.2).
    pub fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The signature, decoded; of any length, none included.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The payload's members that `T` names. Believe nothing of them before the signature is checked.
    ///
    /// # Errors
    /// [`Refused::Malformed`] when it is no JSON object, or not such a one.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        object(&decode(self.payload)?)
    }
}

/// A JSON object, from the first byte to the last; serde alone would also read the members of a struct from an array.
///
/// # Errors
/// [`Refused::Malformed`], also where a member that `T` names comes twice.
pub fn object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refused> {
    match json.trim_ascii_start() {
        [b'{', ..] => serde_json::from_slice(json).map_err(|_| Refused::Malformed),
        _ => Err(Refused::Malformed),
    }
}

/// Base64url without padding, white space or bits left over (RFC 7515 section 2), so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)
}

/// True for a member that is there, whatever its value: `"crit": null` counts.
fn present<'de, D: Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(member).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn with_header(json: &str) -> Result<String, Refused> {
        Token::parse(&format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(json)), "RS256").map(|token| token.kid)
    }

    #[test]
    fn only_the_callers_algorithm_is_accepted() {
        assert_eq!(with_header(r#"{"alg":"RS256","kid":"k"}"#), Ok("k".into()));
        for alg in ["none", "None", "", "HS256", "HS512", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256"] {
            assert_eq!(with_header(&format!(r#"{{"alg":"{alg}","kid":"k"}}"#)), Err(Refused::Algorithm), "{alg}");
        }
        assert_eq!(with_header(r#"{"kid":"k"}"#), Err(Refused::Malformed));
        assert_eq!(with_header(r#"{"alg":["RS256"],"kid":"k"}"#), Err(Refused::Malformed));
    }

    #[test]
    fn a_key_id_is_required() {
        assert_eq!(with_header(r#"{"alg":"RS256"}"#), Err(Refused::Malformed));
        assert_eq!(with_header(r#"{"alg":"RS256","kid":null}"#), Err(Refused::Malformed));
        assert_eq!(with_header(r#"{"alg":"RS256","kid":1}"#), Err(Refused::Malformed));
    }

    #[test]
    fn a_critical_extension_is_refused_whatever_it_says() {
        for crit in [r#"["exp"]"#, r#"["b64"]"#, "[]", "null", "false", r#""""#] {
            let header = format!(r#"{{"alg":"RS256","kid":"k","crit":{crit}}}"#);
            assert_eq!(with_header(&header), Err(Refused::Critical), "{crit}");
        }
    }

    #[test]
    fn typ_is_jwt_in_any_case_or_absent() {
        for typ in ["JWT", "jwt", "Jwt"] {
            assert!(with_header(&format!(r#"{{"alg":"RS256","kid":"k","typ":"{typ}"}}"#)).is_ok(), "{typ}");
        }
        for typ in ["", "at+jwt", "JWE", "JWT "] {
            let header = format!(r#"{{"alg":"RS256","kid":"k","typ":"{typ}"}}"#);
            assert_eq!(with_header(&header), Err(Refused::Type), "{typ}");
        }
    }

    #[test]
    fn a_member_that_comes_twice_is_refused() {
        assert_eq!(with_header(r#"{"alg":"none","alg":"RS256","kid":"k"}"#), Err(Refused::Malformed));
        assert_eq!(with_header(r#"{"alg":"RS256","kid":"a","kid":"k"}"#), Err(Refused::Malformed));
        assert_eq!(with_header(r#"{"alg":"RS256","\u0061lg":"none","kid":"k"}"#), Err(Refused::Malformed));
    }

    #[test]
    fn deep_json_costs_no_stack() {
        let (open, close) = ("[".repeat(2900), "]".repeat(2900));
        // Skipped without recursion where nobody reads it, refused where it is read.
        assert!(with_header(&format!(r#"{{"alg":"RS256","kid":"k","x":{open}1{close}}}"#)).is_ok());
        assert_eq!(with_header(&format!(r#"{{"alg":"RS256","kid":{open}1{close}}}"#)), Err(Refused::Malformed));
        assert_eq!(object::<Value>(format!(r#"{{"aud":{open}1{close}}}"#).as_bytes()), Err(Refused::Malformed));
    }

    #[test]
    fn a_header_is_one_json_object() {
        assert_eq!(with_header(r#"{"alg":"RS256","kid":"k"}{}"#), Err(Refused::Malformed));
        assert_eq!(with_header(r#"["RS256","k",null,false]"#), Err(Refused::Malformed));
    }

    #[test]
    fn anything_but_three_parts_of_base64url_without_padding_is_malformed() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#);
        assert!(Token::parse(&format!("{header}.e30.AAAA"), "RS256").is_ok());
        for token in [
            String::new(),
            ".".into(),
            "..".into(),
            header.clone(),
            format!("{header}.e30"),
            format!("{header}.e30.AA=="),
            format!("{header}.e30.AA+/"),
            format!("{header}.e30.AAAA "),
            format!(" {header}.e30.AAAA"),
            format!("{header}\n.e30.AAAA"),
            format!("{header}=.e30.AAAA"),
            format!("{header}.e30.e30.AAAA"),
            format!("{header}.e30.AAAA."),
            format!("{header}.e30.AB"), // bits left over
            format!("{header}.e3.AAAA"),
            format!("{header}.W10.AAAA"), // an array
            format!("Bearer {header}.e30.AAAA"),
            format!("{header}.e30.é"),
        ] {
            let claims = Token::parse(&token, "RS256").and_then(|token| token.payload::<Value>());
            assert_eq!(claims, Err(Refused::Malformed), "{token}");
        }
    }

    #[test]
    fn a_token_longer_than_the_limit_is_not_even_decoded() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#);
        let room = MAX_TOKEN - header.len() - ".e30.".len();
        assert!(Token::parse(&format!("{header}.e30.{}", "A".repeat(room / 4 * 4)), "RS256").is_ok());
        assert!(Token::parse(&format!("{header}.e30.{}", "A".repeat(room + 4)), "RS256").is_err());
    }
}
