//! The examples of RFC 9421: component values (section 2) and signature bases (appendix B.2), byte for byte.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a helper may fail the test")]

mod common;

use common::{Head, TEST_REQUEST};
use http_signatures::{Message, Refused, Response, SignatureInput, signature_base};

const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
const BUSY_DIGEST: &str =
    "sha-512=:0Y6iCBzGg5rZtoXS95Ijz03mslf6KAMCloESHObfwnHJDbkkWWQz6PhhU9kxsTbARtY2PTBOzq24uJFpHsMuAg==:";

/// The lines of the base before that of the parameters.
fn lines(head: &str, components: &str) -> Result<String, Refused> {
    let base = Head::parse(head).base(&format!("({components})"))?;
    Ok(base.strip_suffix(&format!("\"@signature-params\": ({components})")).unwrap().trim_end_matches('\n').to_owned())
}

fn assert_base(head: &Head, lines: &[&str], params: &str) {
    let base = [lines, &[&*format!("\"@signature-params\": {params}")]].concat().join("\n");
    assert_eq!(head.base(params).unwrap(), base);
}

#[test]
fn b_2_1_a_minimal_signature_has_one_line() {
    assert_base(
        &Head::parse(TEST_REQUEST),
        &[],
        r#"();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
    );
}

#[test]
fn b_2_2_selected_components_with_a_query_parameter_and_a_tag() {
    assert_base(
        &Head::parse(TEST_REQUEST),
        &[
            r#""@authority": example.com"#,
            &format!(r#""content-digest": {DIGEST}"#),
            r#""@query-param";name="Pet": dog"#,
        ],
        r#"("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
    );
}

#[test]
fn b_2_3_full_coverage() {
    assert_base(
        &Head::parse(TEST_REQUEST),
        &[
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
            r#""@method": POST"#,
            r#""@path": /foo"#,
            r#""@query": ?param=Value&Pet=dog"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            &format!(r#""content-digest": {DIGEST}"#),
            r#""content-length": 18"#,
        ],
        r#"("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
    );
}

#[test]
fn b_2_4_a_response() {
    let input =
        r#"("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256""#;
    let digest = "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:";
    let headers: [(&str, &[u8]); 3] =
        [("Content-Type", b"application/json"), ("Content-Digest", digest.as_bytes()), ("Content-Length", b"23")];
    let response = Message::Response(Response { status: 200, headers: &headers, request: None });
    let expected = format!(
        r#""@status": 200
"content-type": application/json
"content-digest": {digest}
"content-length": 23
"@signature-params": {input}"#
    );
    assert_eq!(signature_base(response, &SignatureInput::parse(input).unwrap()).unwrap(), expected);
}

#[test]
fn b_2_5_and_b_2_6_the_requests_that_are_verified_elsewhere() {
    let date = r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#;
    assert_base(
        &Head::parse(TEST_REQUEST),
        &[date, r#""@authority": example.com"#, r#""content-type": application/json"#],
        r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
    );
    assert_base(
        &Head::parse(TEST_REQUEST),
        &[
            date,
            r#""@method": POST"#,
            r#""@path": /foo"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            r#""content-length": 18"#,
        ],
        r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
    );
}

#[test]
fn section_2_4_a_response_covers_parts_of_its_request() {
    let params = r#"("@status" "content-digest" "content-type" "@authority";req "@method";req "@path";req "@query";req "content-digest";req "content-type";req "content-length";req);created=1618884479;keyid="test-key-ecc-p256""#;
    let input = SignatureInput::parse(params).unwrap();
    let headers: [(&str, &[u8]); 2] =
        [("Content-Type", b"application/json"), ("Content-Digest", BUSY_DIGEST.as_bytes())];
    let response = Response { status: 503, headers: &headers, request: None };
    let expected = format!(
        r#""@status": 503
"content-digest": {BUSY_DIGEST}
"content-type": application/json
"@authority";req: example.com
"@method";req: POST
"@path";req: /foo
"@query";req: ?param=Value&Pet=dog
"content-digest";req: {DIGEST}
"content-type";req: application/json
"content-length";req: 18
"@signature-params": {params}"#
    );
    let base = Head::parse(TEST_REQUEST)
        .request(|request| signature_base(Message::Response(Response { request: Some(request), ..response }), &input));
    assert_eq!(base.unwrap(), expected);
    assert_eq!(signature_base(Message::Response(response), &input), Err(Refused::Component));
}

#[test]
fn section_2_1_fields_are_trimmed_unfolded_and_joined() {
    let head = "GET / HTTP/1.1
Host: www.example.com
Date: Tue, 20 Apr 2021 02:07:56 GMT
X-OWS-Header:   Leading and trailing whitespace.   \t
X-Obs-Fold-Header: Obsolete
    line folding.
Cache-Control: max-age=60
Cache-Control:    must-revalidate
Example-Dict:  a=1,    b=2;x=1;y=2,   c=(a   b   c)
X-Empty-Header: ";
    let components =
        r#""host" "date" "x-ows-header" "x-obs-fold-header" "cache-control" "example-dict" "x-empty-header""#;
    let expected = r#""host": www.example.com
"date": Tue, 20 Apr 2021 02:07:56 GMT
"x-ows-header": Leading and trailing whitespace.
"x-obs-fold-header": Obsolete line folding.
"cache-control": max-age=60, must-revalidate
"example-dict": a=1,    b=2;x=1;y=2,   c=(a   b   c)
"x-empty-header": "#;
    assert_eq!(lines(head, components).unwrap(), expected);
}

#[test]
fn section_2_1_1_a_structured_field_is_serialised_again_where_its_type_is_known() {
    // The RFC's own example is a field of nobody's; this one is a dictionary by RFC 9218.
    let value = "a=1,    b=2;x=1;y=2,   c=(a   b   c)";
    let head = format!("GET / HTTP/1.1\nPriority: {value}\nExample-Dict: {value}");
    assert_eq!(lines(&head, r#""priority";sf"#).unwrap(), r#""priority";sf: a=1, b=2;x=1;y=2, c=(a b c)"#);
    assert_eq!(lines(&head, r#""example-dict";sf"#), Err(Refused::ComponentValue));
    let two_lines = "GET / HTTP/1.1\nCache-Status:  a;hit ,b\nCache-Status: c;  ttl=1";
    assert_eq!(lines(two_lines, r#""cache-status";sf"#).unwrap(), r#""cache-status";sf: a;hit, b, c;ttl=1"#);
}

#[test]
fn section_2_1_2_a_member_of_a_dictionary() {
    let head = "GET / HTTP/1.1\nExample-Dict:  a=1, b=2;x=1;y=2, c=(a   b    c), d";
    let components = r#""example-dict";key="a" "example-dict";key="d" "example-dict";key="b" "example-dict";key="c""#;
    let expected = r#""example-dict";key="a": 1
"example-dict";key="d": ?1
"example-dict";key="b": 2;x=1;y=2
"example-dict";key="c": (a b c)"#;
    assert_eq!(lines(head, components).unwrap(), expected);
    for (head, component) in [
        (head, r#""example-dict";key="e""#),
        (head, r#""other";key="a""#),
        ("GET / HTTP/1.1\nExample-Dict: no dictionary", r#""example-dict";key="no""#),
    ] {
        assert_eq!(lines(head, component), Err(Refused::ComponentValue), "{component}");
    }
}

#[test]
fn section_2_1_3_binary_wrapped_lines_are_told_apart() {
    let two = "GET / HTTP/1.1\nExample-Header: value, with, lots\nExample-Header: of, commas";
    let one = "GET / HTTP/1.1\nExample-Header: value, with, lots, of, commas";
    for head in [one, two] {
        let plain = r#""example-header": value, with, lots, of, commas"#;
        assert_eq!(lines(head, r#""example-header""#).unwrap(), plain);
    }
    assert_eq!(
        lines(two, r#""example-header";bs"#).unwrap(),
        r#""example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"#
    );
    assert_eq!(
        lines(one, r#""example-header";bs"#).unwrap(),
        r#""example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:"#
    );
}

#[test]
fn section_2_2_derived_components() {
    let post = "POST /path?param=value HTTP/1.1\nHost: www.example.com";
    for (component, expected) in [
        (r#""@method""#, r#""@method": POST"#),
        (r#""@target-uri""#, r#""@target-uri": https://www.example.com/path?param=value"#),
        (r#""@authority""#, r#""@authority": www.example.com"#),
        (r#""@scheme""#, r#""@scheme": https"#),
        (r#""@request-target""#, r#""@request-target": /path?param=value"#),
        (r#""@path""#, r#""@path": /path"#),
        (r#""@query""#, r#""@query": ?param=value"#),
    ] {
        assert_eq!(lines(post, component).unwrap(), expected);
    }
    let query = |target: &str| lines(&format!("GET {target} HTTP/1.1"), r#""@query""#).unwrap();
    assert_eq!(query("/path?param=value&foo=bar&baz=bat%2Dman"), r#""@query": ?param=value&foo=bar&baz=bat%2Dman"#);
    assert_eq!(query("/path?queryString"), r#""@query": ?queryString"#);
    assert_eq!(query("/path"), r#""@query": ?"#);
}

#[test]
fn the_authority_is_in_lower_case_without_the_default_port_and_an_empty_path_is_a_slash() {
    let of = |target_uri: &str, component: &str| {
        let mut head = Head::parse("GET / HTTP/1.1");
        head.target_uri = target_uri.to_owned();
        let base = head.base(&format!("(\"{component}\")"))?;
        Ok(base.lines().next().unwrap().split_once(": ").unwrap().1.to_owned())
    };
    let ok = |value: &str| Ok::<_, Refused>(value.to_owned());
    assert_eq!(of("HTTPS://WWW.Example.com:443/", "@authority"), ok("www.example.com"));
    assert_eq!(of("http://example.com:80", "@authority"), ok("example.com"));
    assert_eq!(of("https://example.com:80", "@authority"), ok("example.com:80"));
    assert_eq!(of("http://127.0.0.1:8787/a", "@authority"), ok("127.0.0.1:8787"));
    assert_eq!(of("https://[::1]:443/", "@authority"), ok("[::1]"));
    assert_eq!(of("HTTPS://example.com", "@scheme"), ok("https"));
    assert_eq!(of("https://example.com?a=/b", "@path"), ok("/"));
    assert_eq!(of("https://example.com?a=/b", "@request-target"), ok("/?a=/b"));
    for no_uri in ["", "/path", "example.com/path", "https:///path", "https://a@example.com/", "https://a/b#c"] {
        assert_eq!(of(no_uri, "@path"), Err(Refused::Malformed), "{no_uri}");
    }
    for forged in ["https://a/\nb", "https://a/b ", "https://a/é"] {
        assert_eq!(of(forged, "@target-uri"), Err(Refused::ComponentValue), "{forged}");
    }
}

#[test]
fn section_2_2_8_query_parameters_are_decoded_and_encoded_again() {
    let head = "GET /path?param=value&foo=bar&baz=batman&qux= HTTP/1.1";
    let expected = "\"@query-param\";name=\"baz\": batman
\"@query-param\";name=\"qux\": 
\"@query-param\";name=\"param\": value";
    let components = r#""@query-param";name="baz" "@query-param";name="qux" "@query-param";name="param""#;
    assert_eq!(lines(head, components).unwrap(), expected);

    let head = "GET /parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something HTTP/1.1";
    let components =
        r#""@query-param";name="var" "@query-param";name="bar" "@query-param";name="fa%C3%A7ade%22%3A%20""#;
    let expected = r#""@query-param";name="var": this%20is%20a%20big%0Amultiline%20value
"@query-param";name="bar": with%20plus%20whitespace
"@query-param";name="fa%C3%A7ade%22%3A%20": something"#;
    assert_eq!(lines(head, components).unwrap(), expected);
}

#[test]
fn a_query_parameter_that_is_absent_or_there_twice_is_refused() {
    for target in ["/", "/?b=1", "/?a=1&a=2", "/?a=1&%61=1", "/?A=1"] {
        let head = format!("GET {target} HTTP/1.1");
        assert_eq!(lines(&head, r#""@query-param";name="a""#), Err(Refused::ComponentValue), "{target}");
    }
}

#[test]
fn what_is_unknown_incompatible_or_of_a_response_is_refused() {
    for component in [
        r#""@unknown""#,
        r#""@signature-params""#,
        r#""@status""#,
        r#""@method";req"#,
        r#""date";req"#,
        r#""@method";sf"#,
        r#""@method";name="a""#,
        r#""@query-param""#,
        r#""@query-param";name=a"#,
        r#""date";unknown"#,
        r#""date";tr"#,
        r#""date";sf=?0"#,
        r#""date";sf="a""#,
        r#""date";name="a""#,
        r#""date";bs;sf"#,
        r#""date";bs;key="a""#,
        r#""date";key=a"#,
        r#""Date""#,
        r#""da te""#,
        r#""da\"te""#,
        r#""""#,
        "date",
        "1",
        ":ZGF0ZQ==:",
    ] {
        assert_eq!(Head::parse(TEST_REQUEST).base(&format!("({component})")), Err(Refused::Component), "{component}");
    }
    for component in [r#""@method""#, r#""@authority""#, r#""@status";req"#] {
        let input = SignatureInput::parse(&format!("({component})")).unwrap();
        let base = Head::parse(TEST_REQUEST).request(|request| {
            signature_base(Message::Response(Response { status: 200, headers: &[], request: Some(request) }), &input)
        });
        assert_eq!(base, Err(Refused::Component), "{component}");
    }
}

#[test]
fn a_component_that_comes_twice_is_refused_in_whatever_order_its_parameters_are() {
    for components in [
        r#""date" "date""#,
        r#""a";key="k" "a";key="k""#,
        r#""a";key="k";sf "a";sf;key="k""#,
        r#""a";req;bs "a";bs;req"#,
        r#""@method" "date" "@method""#,
    ] {
        assert_eq!(SignatureInput::parse(&format!("({components})")).unwrap_err(), Refused::Component, "{components}");
    }
    let distinct =
        r#"("a" "a";req "a";sf "a";bs "a";key="k" "a";key="l" "@query-param";name="a" "@query-param";name="b")"#;
    assert_eq!(SignatureInput::parse(distinct).unwrap().to_string(), distinct);
}

#[test]
fn a_field_that_is_absent_or_could_forge_a_line_is_refused() {
    let head = Head::parse("GET / HTTP/1.1");
    assert_eq!(head.base(r#"("absent")"#), Err(Refused::ComponentValue));
    for value in ["a\nb", "a\r\nb", "a\rb", "a\u{0}b", "a\u{7f}b", "é"] {
        assert_eq!(head.clone().with("forged", value).base(r#"("forged")"#), Err(Refused::ComponentValue), "{value:?}");
    }
    // Wrapped, any byte can be signed.
    let wrapped = head.with("name", "é").base(r#"("name";bs)"#).unwrap();
    assert_eq!(wrapped, "\"name\";bs: :w6k=:\n\"@signature-params\": (\"name\";bs)");
}

#[test]
fn parameters_keep_their_order_and_an_unknown_one_is_refused() {
    let input = r#"("@target-uri" "@authority" "date" "cache-control");keyid="test-key-rsa-pss";alg="rsa-pss-sha512";created=1618884475;expires=1618884775"#;
    assert_eq!(SignatureInput::parse(input).unwrap().to_string(), input);
    let spaced = r#"( "date"   "@method" );  created=1;   keyid="k""#;
    assert_eq!(SignatureInput::parse(spaced).unwrap().to_string(), r#"("date" "@method");created=1;keyid="k""#);
    for parameters in [
        "unknown",
        "unknown=1",
        "created",
        "created=-1",
        "created=1.0",
        "created=@1",
        "created=\"1\"",
        "expires=?1",
        "nonce=n",
        "nonce=1",
        "keyid=:aw==:",
        "alg=ed25519",
        "tag=1",
    ] {
        let input = format!("();{parameters}");
        assert_eq!(SignatureInput::parse(&input).unwrap_err(), Refused::Parameter, "{parameters}");
    }
    for no_input in ["", "1", "\"@method\"", "() ()", "(), ()", "(", "a=()", "();created=9999999999999999"] {
        assert_eq!(SignatureInput::parse(no_input).unwrap_err(), Refused::Malformed, "{no_input}");
    }
}

#[test]
fn what_is_parsed_and_what_is_built_is_bounded() {
    let components = |n: usize| format!("({})", (0..n).map(|i| format!("\"f{i}\"")).collect::<Vec<_>>().join(" "));
    assert!(SignatureInput::parse(&components(http_signatures::MAX_COMPONENTS)).is_ok());
    let too_many = SignatureInput::parse(&components(http_signatures::MAX_COMPONENTS + 1));
    assert_eq!(too_many.unwrap_err(), Refused::TooLarge);
    let nonce = |n: usize| SignatureInput::parse(&format!("();nonce=\"{}\"", "n".repeat(n)));
    let room = http_signatures::MAX_FIELD - "();nonce=\"\"".len();
    assert!(nonce(room).is_ok());
    assert_eq!(nonce(room + 1).unwrap_err(), Refused::TooLarge);
    let head = |n: usize| Head::parse("GET / HTTP/1.1").with("f", &"v".repeat(n)).base(r#"("f" "f";bs)"#);
    assert!(head(20_000).is_ok());
    assert_eq!(head(40_000), Err(Refused::TooLarge));
}
