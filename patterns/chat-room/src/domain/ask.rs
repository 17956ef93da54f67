use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::names::PersonId;
use super::session::Session;

/// What the Worker asks a room's object, in a header of its request: only the Worker can reach the object, so what is said of
/// the person there has been proven.
///
/// For a while after a deployment one side may be of the version before: what an object does not know it answers with 501, and
/// members are only ever added.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// To be let in. The request is a WebSocket's.
    Join { session: Session },
    /// For what happened before `before`, or last.
    History { person: PersonId, before: Option<u64>, limit: u32 },
    #[serde(other)]
    Unknown,
}

impl Ask {
    pub const HEADER: &str = "x-ask";
    /// Of the object's answer: why somebody is not let in, as a close code and its reason.
    pub const REFUSED: &str = "x-refused";

    /// As a header's value: names have any characters.
    pub fn to_header(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub fn from_header(header: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_heard_and_what_is_not_known_is_told_apart_from_what_is_none() {
        let ask = Ask::History { person: PersonId::try_from("p".to_owned()).unwrap(), before: Some(7), limit: 50 };
        assert_eq!(Ask::from_header(&ask.to_header()), Some(ask));
        let header = |json: &str| URL_SAFE_NO_PAD.encode(json);
        assert_eq!(Ask::from_header(&header(r#"{"ask":"to_sing","song":1}"#)), Some(Ask::Unknown));
        assert_eq!(Ask::from_header(&header("{}")), None);
        assert_eq!(Ask::from_header("?"), None);
    }
}
