//! Messages as the RFCs print them.

use http_signatures::{Message, Refused, Request, SignatureInput, signature_base};

/// RFC 9421 appendix B.2 `test-request`, without its content.
pub const TEST_REQUEST: &str = "POST /foo?param=Value&Pet=dog HTTP/1.1
Host: example.com
Date: Tue, 20 Apr 2021 02:07:55 GMT
Content-Type: application/json
Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
Content-Length: 18";

/// A request's head: the start line and the header lines, which stay in their order.
#[derive(Clone)]
pub struct Head {
    pub method: String,
    pub target_uri: String,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads a head whose lines end with LF. A line that begins with a space continues the one before (obs-fold).
    pub fn parse(text: &str) -> Self {
        let (start, lines) = text.split_once('\n').unwrap_or((text, ""));
        let lines = lines.replace("\n ", "\u{0} ");
        let headers: Vec<(String, Vec<u8>)> = lines
            .lines()
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.replace('\u{0}', "\r\n").into_bytes()))
            .collect();
        let words: Vec<&str> = start.split(' ').collect();
        let host = headers.iter().find(|(name, _)| name == "Host").map(|(_, value)| value.trim_ascii());
        let host = std::str::from_utf8(host.unwrap_or(b"www.example.com")).unwrap();
        Self { method: words[0].to_owned(), target_uri: format!("https://{host}{}", words[1]), headers }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Calls `then` with the head as a request.
    pub fn request<T>(&self, then: impl FnOnce(Request) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        then(Request { method: &self.method, target_uri: &self.target_uri, headers: &headers })
    }

    pub fn base(&self, input: &str) -> Result<String, Refused> {
        let input = SignatureInput::parse(input)?;
        self.request(|request| signature_base(Message::Request(request), &input))
    }
}
