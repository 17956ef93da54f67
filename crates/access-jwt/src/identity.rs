use crate::Refused;
use serde::Deserialize;

/// Who calls. Texts are of 1 to [`Identity::MAX`] bytes and hold no control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A machine with a service token (documentation page "Service tokens"), whose `sub` is empty. A client certificate
    /// under a non-identity policy looks the same, with the certificate's common name.
    Service {
        /// `common_name`: the service token's client id, `<hexadecimal>.access`.
        client_id: String,
    },
    /// Somebody whom the identity provider knows.
    Person {
        /// `sub`: Access's id of the user, the same for as long as the account lives.
        subject: String,
        /// `email`, as the identity provider verified it. It may pass to somebody else.
        email: String,
    },
}

/// What Access adds to the registered claims (documentation page "Application token"). Absent and `null` are the same; a
/// member that comes twice is refused.
#[derive(Deserialize)]
pub(crate) struct Names {
    #[serde(rename = "type")]
    kind: Option<String>,
    sub: Option<String>,
    email: Option<String>,
    common_name: Option<String>,
}

impl Identity {
    /// An email address has at most 254 bytes (RFC 5321 section 4.5.3.1.3), an OIDC `sub` 255.
    pub const MAX: usize = 255;

    /// `sub` decides, as both kinds carry it: what could be read either way is refused.
    pub(crate) fn of(Names { kind, sub, email, common_name }: Names) -> Result<Self, Refused> {
        // "org" is the token of the team's login page, which a browser holds for every application.
        if kind.is_some_and(|kind| kind != "app") {
            return Err(Refused::Identity);
        }
        let subject = sub.ok_or(Refused::Identity)?;
        let email = email.filter(|email| !email.is_empty());
        if subject.is_empty() && email.is_none() {
            Ok(Self::Service { client_id: bounded(common_name)? })
        } else {
            Ok(Self::Person { subject: bounded(Some(subject))?, email: bounded(email)? })
        }
    }
}

fn bounded(text: Option<String>) -> Result<String, Refused> {
    text.filter(|text| (1..=Identity::MAX).contains(&text.len()) && !text.contains(char::is_control))
        .ok_or(Refused::Identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn identity(claims: &Value) -> Result<Identity, Refused> {
        Identity::of(jws::object(claims.to_string().as_bytes())?)
    }

    #[test]
    fn a_service_token_has_a_common_name_and_an_empty_subject() {
        let service = identity(&json!({"type": "app", "sub": "", "common_name": "id.access"}));
        assert_eq!(service, Ok(Identity::Service { client_id: "id.access".into() }));
    }

    #[test]
    fn a_person_has_a_subject_and_an_email() {
        let person = identity(&json!({"type": "app", "sub": "7335d417", "email": "a@example.com", "country": "PT"}));
        assert_eq!(person, Ok(Identity::Person { subject: "7335d417".into(), email: "a@example.com".into() }));
    }

    #[test]
    fn a_token_that_names_nobody_or_both_is_refused() {
        for claims in [
            json!({}),
            json!({"sub": ""}),
            json!({"sub": "", "common_name": ""}),
            json!({"common_name": "id.access"}),
            json!({"sub": "7335d417"}),
            json!({"sub": "7335d417", "email": ""}),
            json!({"sub": "7335d417", "common_name": "id.access"}),
            json!({"sub": "", "email": "a@example.com"}),
            json!({"sub": "", "email": "a@example.com", "common_name": "id.access"}),
        ] {
            assert_eq!(identity(&claims), Err(Refused::Identity), "{claims}");
        }
    }

    #[test]
    fn only_application_tokens_are_accepted() {
        for kind in ["org", "", "APP", "meta"] {
            let claims = json!({"type": kind, "sub": "", "common_name": "id.access"});
            assert_eq!(identity(&claims), Err(Refused::Identity), "{kind}");
        }
        assert!(identity(&json!({"sub": "", "common_name": "id.access"})).is_ok());
    }

    #[test]
    fn names_are_bounded_and_hold_no_control_character() {
        for name in ["a".repeat(256), "id\r\nX-Admin: 1".into(), "id\0".into(), "\u{85}".into()] {
            assert_eq!(identity(&json!({"sub": "", "common_name": name})), Err(Refused::Identity));
            assert_eq!(identity(&json!({"sub": name, "email": "a@example.com"})), Err(Refused::Identity));
            assert_eq!(identity(&json!({"sub": "7335d417", "email": name})), Err(Refused::Identity));
        }
        assert!(identity(&json!({"sub": "", "common_name": "a".repeat(255)})).is_ok());
    }
}
