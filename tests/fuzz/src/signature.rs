//! A signed request: the line `METHOD TARGET-URI`, then lines `name:value`.

use http_signatures::{Fields, Message, Policy, Request, SignatureInput, check, signature_base};
use std::time::Duration;

pub fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Ok(Some((method, target_uri))) =
        str::from_utf8(lines.next().unwrap_or_default()).map(|line| line.split_once(' '))
    else {
        return;
    };
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
            Some((str::from_utf8(name).ok()?, value.get(1..)?))
        })
        .collect();
    let request = Request { method, target_uri, headers: &headers };

    // Nothing is ever too old or too early, so that what comes after is reached.
    let policy = Policy { max_age: Duration::MAX, max_skew: Duration::MAX };
    let _ = check(request, policy, Duration::ZERO);

    for (_, value) in named(&headers, "signature-input") {
        if let Some(Ok(input)) =
            str::from_utf8(value).ok().and_then(|value| Some(SignatureInput::parse(value.split_once('=')?.1)))
        {
            stable(request, &input);
        }
    }
}

fn named<'a>(headers: Fields<'a>, name: &str) -> impl Iterator<Item = &'a (&'a str, &'a [u8])> {
    headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name))
}

fn stable(request: Request, input: &SignatureInput) {
    let again = SignatureInput::parse(&input.to_string()).unwrap();
    assert_eq!(again.to_string(), input.to_string());
    let base = signature_base(Message::Request(request), input);
    assert_eq!(base, signature_base(Message::Request(request), &again));
    if let Ok(base) = base {
        let mut lines = base.split('\n').rev();
        assert_eq!(lines.next().unwrap(), format!("\"@signature-params\": {input}"));
        // Whatever is signed, it cannot pass for a line more.
        assert!(lines.all(|line| line.starts_with('"') && !line.starts_with("\"@signature-params\"")));
        assert!(base.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n')));
    }
}
