//! `check` and `verify` from outside: what a server accepts, and that nothing covered can be changed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests: a helper may fail the test")]

mod common;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{Head, TEST_REQUEST};
use futures_util::FutureExt;
use http_signatures::{
    Checked, ContentDigest, Failure, Key, Message, Policy, PublicKey, Refused, Request, RustCrypto, Secret,
    SignatureInput, Verified, Verify, check, sign, signature_base,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::{sync::LazyLock, time::Duration};

/// RFC 9421 appendix B.1.5.
static SHARED_SECRET: LazyLock<Secret> = LazyLock::new(|| {
    let base64 = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    Secret::parse(&STANDARD.decode(base64).unwrap()).unwrap()
});

/// RFC 9421 appendix B.1.4.
const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
";
const ED25519_PRIVATE: &str = "n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=";

const NOW: u64 = 1_618_884_500;
const POLICY: Policy = Policy { max_age: Duration::from_mins(5), max_skew: Duration::from_mins(1) };
const CONTENT: &[u8] = b"{\"hello\": \"world\"}";
/// What an ordinary client covers.
const COMPONENTS: &str = r#""@method" "@authority" "@target-uri" "date" "content-digest""#;
const PARAMETERS: &str = r#"created=1618884473;keyid="k";nonce="n-1""#;

fn ed25519() -> Key {
    Key::Ed25519(PublicKey::from_pem(ED25519_PEM).unwrap())
}

fn hmac() -> Key {
    Key::HmacSha256(SHARED_SECRET.clone())
}

fn ed25519_sign(base: &[u8]) -> Vec<u8> {
    use ed25519_dalek::{Signer, SigningKey};
    let key: [u8; 32] = STANDARD.decode(ED25519_PRIVATE).unwrap().try_into().unwrap();
    SigningKey::from_bytes(&key).sign(base).to_bytes().to_vec()
}

/// Nothing here has to be waited for.
fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

fn holds(key: &Key, base: &str, signature: &str) -> bool {
    ready(RustCrypto.verify(key, base.as_bytes(), &STANDARD.decode(signature).unwrap())).unwrap()
}

/// `TEST_REQUEST`, signed with the shared secret.
fn signed(components: &str, parameters: &str) -> Head {
    signed_by(&Head::parse(TEST_REQUEST), components, parameters, |base| SHARED_SECRET.sign(base))
}

fn signed_by(head: &Head, components: &str, parameters: &str, by: impl FnOnce(&[u8]) -> Vec<u8>) -> Head {
    let input = SignatureInput::parse(&format!("({components});{parameters}")).unwrap();
    let (input, signature) = head.request(|request| sign(Message::Request(request), "sig1", &input, by)).unwrap();
    head.clone().with("Signature-Input", &input).with("Signature", &signature)
}

fn checked_at(head: &Head, now: u64) -> Result<Checked, Refused> {
    head.request(|request| check(request, POLICY, Duration::from_secs(now)))
}

fn verified(head: &Head, keys: &[Key]) -> Result<Verified, Refused> {
    ready(checked_at(head, NOW)?.verify(keys, &RustCrypto)).map_err(|failure| match failure {
        Failure::Refused(why) => why,
        Failure::Unchecked(never) => match never {},
    })
}

/// Everything at once, as a server does it, with the shared secret.
fn accept(head: &Head, content: &[u8]) -> Result<(), Refused> {
    verified(head, &[hmac()])?.check_content(content)
}

#[test]
fn b_2_5_the_hmac_of_the_rfc_is_verified() {
    let base = Head::parse(TEST_REQUEST)
        .base(r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#)
        .unwrap();
    assert!(holds(&hmac(), &base, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="));
    assert_eq!(STANDARD.encode(SHARED_SECRET.sign(base.as_bytes())), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
    assert!(!holds(&hmac(), &base, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE4="));
}

#[test]
fn b_2_6_the_ed25519_signature_of_the_rfc_is_verified() {
    let base = Head::parse(TEST_REQUEST)
        .base(r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#)
        .unwrap();
    let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert!(holds(&ed25519(), &base, signature));
    assert_eq!(STANDARD.encode(ed25519_sign(base.as_bytes())), signature);
    assert!(!holds(&ed25519(), &format!("{base} "), signature));
}

#[test]
fn b_4_what_intermediaries_may_do_keeps_the_signature_and_what_they_may_not_breaks_it() {
    let verify = |head: &str| {
        let base = Head::parse(head)
            .base(r#"("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#)
            .unwrap();
        holds(
            &ed25519(),
            &base,
            "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==",
        )
    };
    let get = "GET /demo?name1=Value1&Name2=value2";
    assert!(verify(&format!("{get} HTTP/1.1\nHost: example.org\nAccept: application/json\nAccept: */*")));
    assert!(verify(&format!(
        "{get}&param=added HTTP/1.1\nHost: example.org\nAccept: application/json\nAccept: */*\nAccept-Language: en"
    )));
    assert!(verify(&format!(
        "{get} HTTP/1.1\nReferer: https://a.example\nAccept: application/json, */*\nHost: example.org"
    )));
    assert!(!verify("POST /demo HTTP/1.1\nHost: example.com\nAccept: application/json\nAccept: */*"));
    assert!(!verify(&format!("{get} HTTP/1.1\nHost: example.org\nAccept: */*\nAccept: application/json")));
}

#[test]
fn an_ordinary_client_is_accepted_with_either_algorithm() {
    let head = signed(COMPONENTS, PARAMETERS);
    assert_eq!(checked_at(&head, NOW).unwrap().keyid(), "k");
    let by_hmac = verified(&head, &[hmac()]).unwrap();
    assert_eq!(by_hmac.nonce(), "n-1");
    assert_eq!(by_hmac.check_content(CONTENT), Ok(()));

    let head = signed_by(&Head::parse(TEST_REQUEST), COMPONENTS, PARAMETERS, ed25519_sign);
    assert_eq!(verified(&head, &[ed25519()]).unwrap().check_content(CONTENT), Ok(()));
    assert_eq!(verified(&head, &[hmac()]).unwrap_err(), Refused::Signature);
    assert!(verified(&head, &[hmac(), ed25519()]).is_ok(), "either is good while one replaces the other");
    assert!(verified(&head, &[]).is_err());
}

#[test]
fn the_method_the_whole_target_and_the_authority_have_to_be_covered() {
    for components in [
        r#""@method" "@authority" "@target-uri" "content-digest""#,
        r#""content-digest" "@target-uri" "@authority" "@method" "content-type" "content-length" "host" "@scheme" "@query-param";name="Pet""#,
        r#""@method" "@authority" "@request-target" "content-digest""#,
        r#""@method" "@authority" "@path" "@query" "content-digest""#,
        r#""@method" "@authority" "@target-uri" "content-digest";sf"#,
        r#""@method" "@authority" "@target-uri" "content-digest";bs"#,
    ] {
        assert_eq!(accept(&signed(components, PARAMETERS), CONTENT), Ok(()), "{components}");
    }
    for components in [
        "",
        r#""@target-uri" "content-digest""#,
        r#""@method" "@target-uri" "content-digest""#,
        r#""@method" "@authority" "content-digest""#,
        r#""@method" "@authority" "@path" "content-digest""#,
        r#""@method" "@authority" "@query" "content-digest""#,
        r#""@method" "@path" "@query" "content-digest""#,
        r#""@method" "@request-target" "host" "content-digest""#,
        r#""@method" "@authority" "@path" "@query-param";name="Pet" "@query-param";name="param" "content-digest""#,
    ] {
        assert_eq!(accept(&signed(components, PARAMETERS), CONTENT), Err(Refused::NotCovered), "{components}");
    }
}

#[test]
fn what_costs_much_to_read_may_be_covered_a_few_times_only() {
    let with = |params: usize| {
        let params: Vec<_> = (0..params).map(|i| format!(r#""@query-param";name="p{i}""#)).collect();
        format!(r#""@method" "@authority" "@target-uri" {}"#, params.join(" "))
    };
    let query: Vec<_> = (0..9).map(|i| format!("p{i}=1")).collect();
    let head = Head::parse(&format!("GET /?{} HTTP/1.1\nHost: example.com", query.join("&")));
    let check = |params| {
        let head = signed_by(&head, &with(params), PARAMETERS, |base| SHARED_SECRET.sign(base));
        checked_at(&head, NOW).map(|_| ())
    };
    assert_eq!((check(4), check(5)), (Ok(()), Err(Refused::TooLarge)));
}

#[test]
fn content_without_a_covered_digest_is_refused() {
    let target = r#""@method" "@authority" "@target-uri""#;
    assert_eq!(accept(&signed(target, PARAMETERS), CONTENT), Err(Refused::ContentNotCovered));
    assert_eq!(accept(&signed(target, PARAMETERS), b""), Ok(()));
    let member = format!(r#"{target} "content-digest";key="sha-512""#);
    assert_eq!(accept(&signed(&member, PARAMETERS), CONTENT), Err(Refused::ContentNotCovered));
    assert_eq!(accept(&signed(COMPONENTS, PARAMETERS), b""), Err(Refused::Digest));
    assert_eq!(accept(&signed(COMPONENTS, PARAMETERS), b"{\"hello\": \"World\"}"), Err(Refused::Digest));
}

#[test]
fn a_covered_digest_that_nobody_can_check_is_refused_before_any_key_is_asked() {
    let head = Head::parse("GET / HTTP/1.1").with("content-digest", "md5=:Sd/dVLAcvNLSq16eXua5uQ==:");
    let head = signed_by(&head, r#""@method" "@authority" "@target-uri" "content-digest""#, PARAMETERS, |base| {
        SHARED_SECRET.sign(base)
    });
    assert_eq!(checked_at(&head, NOW).unwrap_err(), Refused::DigestAlgorithm);
}

#[test]
fn a_get_without_content_may_cover_the_digest_of_nothing() {
    let head = Head::parse("GET / HTTP/1.1").with("Content-Digest", &ContentDigest::sha256(b"").to_string());
    let head = signed_by(&head, r#""@method" "@authority" "@target-uri" "content-digest""#, PARAMETERS, |base| {
        SHARED_SECRET.sign(base)
    });
    assert_eq!(accept(&head, b""), Ok(()));
    assert_eq!(accept(&head, b"x"), Err(Refused::Digest));
}

#[test]
fn a_signature_is_accepted_from_a_minute_before_created_to_five_after() {
    let head = signed(COMPONENTS, PARAMETERS);
    let created = 1_618_884_473;
    for (now, expected) in [
        (created - 61, Some(Refused::Future)),
        (created - 60, None),
        (created, None),
        (created + 300, None),
        (created + 301, Some(Refused::Stale)),
    ] {
        assert_eq!(checked_at(&head, now).err(), expected, "{now}");
    }
    // Sub-seconds of our own clock count.
    let now = Duration::from_millis((created + 300) * 1000 + 1);
    assert_eq!(head.request(|request| check(request, POLICY, now)).unwrap_err(), Refused::Stale);
}

#[test]
fn expires_ends_a_signature_before_its_age_does_and_never_prolongs_it() {
    let head = |expires: u64| signed(COMPONENTS, &format!("{PARAMETERS};expires={expires}"));
    assert_eq!(accept(&head(NOW + 1), CONTENT), Ok(()));
    assert_eq!(accept(&head(NOW), CONTENT), Err(Refused::Expired));
    assert_eq!(accept(&head(0), CONTENT), Err(Refused::Expired));
    assert_eq!(checked_at(&head(999_999_999_999_999), 1_618_884_473 + 301).unwrap_err(), Refused::Stale);
}

#[test]
fn a_nonce_is_remembered_until_no_clock_within_the_skew_accepts_the_signature() {
    let remembered =
        |parameters: &str| verified(&signed(COMPONENTS, parameters), &[hmac()]).unwrap().remember_until().as_secs();
    assert_eq!(remembered(PARAMETERS), 1_618_884_473 + 300 + 60);
    assert_eq!(remembered(&format!("{PARAMETERS};expires={}", NOW + 9)), NOW + 9 + 60);
    assert_eq!(remembered(&format!("{PARAMETERS};expires={}", NOW + 9999)), 1_618_884_473 + 300 + 60);
    // At that time a clock that is a minute behind has just stopped to accept it.
    assert!(checked_at(&signed(COMPONENTS, PARAMETERS), 1_618_884_473 + 300).is_ok());
}

#[test]
fn created_keyid_and_nonce_are_required_and_bounded() {
    let long = "x".repeat(256);
    for (parameters, expected) in [
        (r#"keyid="k";nonce="n""#, Some(Refused::Undated)),
        (r#"created=1618884473;nonce="n""#, Some(Refused::KeyId)),
        (r#"created=1618884473;keyid="";nonce="n""#, Some(Refused::KeyId)),
        (&format!(r#"created=1618884473;keyid="{long}x";nonce="n""#), Some(Refused::KeyId)),
        (r#"created=1618884473;keyid="k""#, Some(Refused::Nonce)),
        (r#"created=1618884473;keyid="k";nonce="""#, Some(Refused::Nonce)),
        (&format!(r#"created=1618884473;keyid="k";nonce="{long}x""#), Some(Refused::Nonce)),
        (&format!(r#"nonce="{long}";created=1618884473;keyid="{long}""#), None),
        (r#"created=999999999999999;keyid="k";nonce="n""#, Some(Refused::Future)),
        (r#"created=0;keyid="k";nonce="n""#, Some(Refused::Stale)),
    ] {
        assert_eq!(accept(&signed(COMPONENTS, parameters), CONTENT).err(), expected, "{parameters}");
    }
}

#[test]
fn the_algorithm_is_the_keys_and_alg_may_only_agree() {
    let with = |alg: &str| signed(COMPONENTS, &format!("{PARAMETERS};alg=\"{alg}\""));
    assert_eq!(accept(&with("hmac-sha256"), CONTENT), Ok(()));
    for alg in ["ed25519", "HMAC-SHA256", "none", "", "hmac-sha256 "] {
        assert_eq!(accept(&with(alg), CONTENT), Err(Refused::Algorithm), "{alg}");
    }
    // The public key as if it were a secret: what a verifier that believes `alg` falls for.
    let public = STANDARD.decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap();
    let forged = Secret::parse(&public).unwrap();
    let parameters = format!("{PARAMETERS};alg=\"hmac-sha256\"");
    let head = signed_by(&Head::parse(TEST_REQUEST), COMPONENTS, &parameters, |base| forged.sign(base));
    assert_eq!(verified(&head, &[ed25519()]).unwrap_err(), Refused::Algorithm);
}

#[test]
fn a_request_has_exactly_one_signature() {
    let head = Head::parse(TEST_REQUEST);
    let with = |input: &str, signature: &str| {
        checked_at(&head.clone().with("signature-input", input).with("signature", signature), NOW).unwrap_err()
    };
    let input = format!("({COMPONENTS});{PARAMETERS}");
    assert_eq!(checked_at(&head, NOW).unwrap_err(), Refused::Unsigned);
    assert_eq!(checked_at(&head.clone().with("signature", "a=:AA==:"), NOW).unwrap_err(), Refused::Unsigned);
    assert_eq!(checked_at(&head.clone().with("signature-input", "a=()"), NOW).unwrap_err(), Refused::Unsigned);
    assert_eq!(with("", ""), Refused::NotOneSignature);
    assert_eq!(with(&format!("a={input}"), "b=:AA==:"), Refused::NotOneSignature);
    assert_eq!(with(&format!("a={input}, b={input}"), "a=:AA==:, b=:AA==:"), Refused::NotOneSignature);
    assert_eq!(with(&format!("a={input}"), "a=:AA==:, b=:AA==:"), Refused::NotOneSignature);
    assert_eq!(with(&format!("a={input}, a={input}"), "a=:AA==:"), Refused::Malformed);
    assert_eq!(with(&format!("a={input}"), "a=AA"), Refused::Malformed);
    assert_eq!(with(&format!("a={input}"), "a=(:AA==:)"), Refused::Malformed);
    assert_eq!(with("a=1", "a=:AA==:"), Refused::Malformed);
    assert_eq!(with(&format!("a={input}"), &format!("a=:{}:", "A".repeat(9000))), Refused::TooLarge);
    // The same two in two lines each are no other message.
    let twice =
        signed(COMPONENTS, PARAMETERS).with("signature-input", &format!("b={input}")).with("signature", "b=:AA==:");
    assert_eq!(accept(&twice, CONTENT), Err(Refused::NotOneSignature));
}

#[test]
fn a_signature_of_another_length_is_none() {
    let base = b"base";
    for length in [0, 31, 33, 63, 65] {
        for byte in [0, 1, 0xff] {
            let signature = vec![byte; length];
            assert!(!ready(RustCrypto.verify(&hmac(), base, &signature)).unwrap());
            assert!(!ready(RustCrypto.verify(&ed25519(), base, &signature)).unwrap());
        }
    }
    assert!(!ready(RustCrypto.verify(&hmac(), base, &SHARED_SECRET.sign(base)[..31])).unwrap());
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // The neutral element as key and as R: without the strict rules, s = 0 then fits every text.
    let pem = |key: [u8; 32]| {
        let der = [&STANDARD.decode("MCowBQYDK2VwAyEA").unwrap()[..], &key].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(der))
    };
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let key = Key::Ed25519(PublicKey::from_pem(&pem(neutral)).unwrap());
    let signature = [neutral, [0; 32]].concat();
    assert!(!ready(RustCrypto.verify(&key, b"any text", &signature)).unwrap());
}

#[test]
fn a_public_key_is_one_block_of_pem_and_ed25519() {
    let read = |pem: &str| PublicKey::from_pem(pem).map(|key| STANDARD.encode(key.as_bytes()));
    let key = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
    for pem in [ED25519_PEM, ED25519_PEM.trim(), &ED25519_PEM.replace('\n', "\r\n"), &format!("\n{ED25519_PEM}\n")] {
        assert_eq!(read(pem).unwrap(), key, "{pem:?}");
    }
    assert_eq!(PublicKey::from_pem(ED25519_PEM).unwrap().to_pem(), ED25519_PEM);
    let p256 = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----";
    let private = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----";
    for pem in [
        "",
        key,
        p256,
        private,
        &ED25519_PEM.repeat(2),
        &format!("text\n{ED25519_PEM}"),
        &ED25519_PEM.replace("bs=", "bs"),
        &ED25519_PEM.replace("0bs=", "0bt="), // bits left over
        &ED25519_PEM.replace("MCow", "MCoW"),
        &ED25519_PEM.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu"), // X25519
        &ED25519_PEM.replace("MCo", "MC o"),
        &ED25519_PEM.replace("-----END", "\n-----END"),
    ] {
        assert!(read(pem).is_err(), "{pem}");
    }
}

#[test]
fn a_secret_is_neither_short_nor_endless_nor_shown() {
    assert!(Secret::parse(&[1; 15]).is_err() && Secret::parse(&[1; 1025]).is_err());
    assert!(Secret::parse(&[1; 16]).is_ok() && Secret::parse(&[1; 1024]).is_ok());
    assert_eq!(format!("{:?}", hmac()), "HmacSha256(Secret)");
}

#[test]
fn a_label_that_no_dictionary_can_have_is_not_signed_under() {
    let input = SignatureInput::parse("();created=1").unwrap();
    for label in ["", "Sig", "1", "a b", "a=b", "é"] {
        let fields =
            Head::parse(TEST_REQUEST).request(|request| sign(Message::Request(request), label, &input, <[u8]>::to_vec));
        assert_eq!(fields, Err(Refused::Malformed), "{label}");
    }
}

#[test]
fn a_check_that_does_not_run_is_no_refusal() {
    struct Broken;
    impl Verify for Broken {
        type Error = &'static str;
        async fn verify(&self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, &'static str> {
            Err("no crypto today")
        }
    }
    let checked = checked_at(&signed(COMPONENTS, PARAMETERS), NOW).unwrap();
    assert_eq!(ready(checked.verify(&[hmac()], &Broken)).unwrap_err(), Failure::Unchecked("no crypto today"));
}

/// A request, and everything in it that its signature covers.
fn covered() -> Head {
    signed(
        r#""@method" "@authority" "@target-uri" "date" "content-type" "content-length" "content-digest""#,
        PARAMETERS,
    )
}

/// `text` with one byte replaced, removed or inserted.
fn damaged(text: &[u8], at: Index, byte: u8, how: usize) -> Vec<u8> {
    let mut text = text.to_vec();
    match how {
        0 => text.insert(at.index(text.len() + 1), byte),
        _ if text.is_empty() => text.push(byte),
        1 => drop(text.remove(at.index(text.len()))),
        _ => {
            let at = at.index(text.len());
            text[at] = byte;
        }
    }
    text
}

proptest! {
    // Ed25519 takes its time without optimisation.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_change_of_a_bit_of_the_signature_is_refused(bit in 0..512_usize, ed: bool) {
        let by: fn(&[u8]) -> Vec<u8> = if ed { ed25519_sign } else { |base| SHARED_SECRET.sign(base) };
        let (key, bit) = if ed { (ed25519(), bit) } else { (hmac(), bit % 256) };
        let flipped = |base: &[u8]| {
            let mut signature = by(base);
            signature[bit / 8] ^= 1 << (bit % 8);
            signature
        };
        let head = signed_by(&Head::parse(TEST_REQUEST), COMPONENTS, PARAMETERS, flipped);
        prop_assert_eq!(verified(&head, &[key]).unwrap_err(), Refused::Signature);
    }
}

proptest! {
    #[test]
    fn any_change_of_the_method_or_the_target_is_refused(at: Index, byte in b' '..=b'~', how in 0..3_usize, target: bool) {
        let mut head = covered();
        let part = if target { &mut head.target_uri } else { &mut head.method };
        let before = part.clone();
        *part = String::from_utf8(damaged(part.as_bytes(), at, byte, how)).unwrap();
        prop_assume!(*part != before);
        prop_assert!(accept(&head, CONTENT).is_err());
    }

    #[test]
    fn any_change_of_the_path_the_query_or_the_authority_is_refused_when_they_are_covered_alone(
        at: Index, byte in b' '..=b'~', how in 0..3_usize,
    ) {
        let mut head = signed(r#""@method" "@authority" "@path" "@query" "content-digest""#, PARAMETERS);
        let before = head.target_uri.clone();
        // The scheme is not covered, and hosts do not differ in their case.
        let rest = before.strip_prefix("https://").unwrap().as_bytes();
        head.target_uri = format!("https://{}", String::from_utf8(damaged(rest, at, byte, how)).unwrap());
        let meaning = |uri: &str| {
            let (host, rest) = uri.strip_prefix("https://")?.split_once(['/', '?'])?;
            Some((host.to_ascii_lowercase(), rest.to_owned()))
        };
        prop_assume!(meaning(&head.target_uri) != meaning(&before));
        prop_assert!(accept(&head, CONTENT).is_err());
    }

    #[test]
    fn any_change_of_a_covered_field_is_refused(
        name in select(vec!["Date", "Content-Type", "Content-Length", "Content-Digest"]),
        at: Index, byte in b'!'..=b'~', how in 0..3_usize,
    ) {
        let mut head = covered();
        let value = &mut head.headers.iter_mut().find(|(other, _)| other == name).unwrap().1;
        let before = value.trim_ascii().to_vec();
        *value = damaged(&before, at, byte, how);
        prop_assume!(value.trim_ascii() != before);
        prop_assert!(accept(&head, CONTENT).is_err());
    }

    #[test]
    fn a_covered_field_that_is_removed_or_comes_twice_is_refused(
        name in select(vec!["Date", "Content-Type", "Content-Length", "Content-Digest"]), again: bool,
    ) {
        let mut head = covered();
        let at = head.headers.iter().position(|(other, _)| other == name).unwrap();
        if again {
            head.headers.push(head.headers[at].clone());
        } else {
            head.headers.remove(at);
        }
        prop_assert!(accept(&head, CONTENT).is_err());
    }

    #[test]
    fn any_change_of_the_content_is_refused(at: Index, byte: u8, how in 0..3_usize) {
        let content = damaged(CONTENT, at, byte, how);
        prop_assume!(content != CONTENT);
        prop_assert_eq!(accept(&covered(), &content), Err(Refused::Digest));
    }

    #[test]
    fn any_change_of_the_input_is_refused_unless_it_means_the_same(at: Index, byte in b' '..=b'~', how in 0..3_usize) {
        let mut head = covered();
        let value = &mut head.headers.iter_mut().find(|(name, _)| name == "Signature-Input").unwrap().1;
        let before = String::from_utf8(value.clone()).unwrap();
        *value = damaged(value, at, byte, how);
        let after = String::from_utf8(value.clone()).unwrap();
        // White space, and the like, that the strict serialisation has no longer.
        let meaning = |field: &str| {
            let (label, input) = field.split_once('=')?;
            Some((label.trim().to_owned(), SignatureInput::parse(input).ok()?.to_string()))
        };
        prop_assume!(meaning(&before) != meaning(&after));
        prop_assert!(accept(&head, CONTENT).is_err(), "{}", after);
    }

    #[test]
    fn any_change_of_a_parameter_is_refused(
        parameter in select(vec![
            ("created=1618884473", "created=1618884474"), ("keyid=\"k\"", "keyid=\"l\""), ("n-1", "n-2"), ("n-1", "N-1"),
            (";nonce", ";tag=\"t\";nonce"), (";nonce", ";expires=1618884999;nonce"), (";nonce", ";alg=\"hmac-sha256\";nonce"),
            ("\"date\" ", ""), ("\"date\" \"content-type\"", "\"content-type\" \"date\""),
            ("created=1618884473;keyid=\"k\"", "keyid=\"k\";created=1618884473"),
        ]),
    ) {
        let mut head = covered();
        let value = &mut head.headers.iter_mut().find(|(name, _)| name == "Signature-Input").unwrap().1;
        let text = String::from_utf8(value.clone()).unwrap();
        *value = text.replace(parameter.0, parameter.1).into_bytes();
        prop_assert_ne!(&*text, &*String::from_utf8(value.clone()).unwrap());
        prop_assert_eq!(accept(&head, CONTENT), Err(Refused::Signature));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        method in ".{0,10}", target_uri in ".{0,40}", input: Vec<u8>, signature: Vec<u8>, digest: Vec<u8>,
    ) {
        let headers: [(&str, &[u8]); 3] = [("signature-input", &input), ("signature", &signature), ("content-digest", &digest)];
        let request = Request { method: &method, target_uri: &target_uri, headers: &headers };
        prop_assert!(check(request, POLICY, Duration::from_secs(NOW)).is_err());
    }

    #[test]
    fn an_input_that_is_read_is_written_and_read_the_same(
        components in proptest::collection::vec(select(vec![
            "\"@method\"", "\"@target-uri\"", "\"@query-param\";name=\"a\"", "\"a\"", "\"b\";sf", "\"c\";key=\"k\"",
            "\"d\";bs", "\"e\";req;sf", "\"e\";sf;req",
        ]), 0..5),
        nonce in "[ -~]{0,20}", spaces in " {0,3}",
    ) {
        let nonce = nonce.replace('\\', r"\\").replace('"', "\\\"");
        let text = format!("({spaces}{}{spaces});{spaces}nonce=\"{nonce}\"", components.join(&format!(" {spaces}")));
        if let Ok(input) = SignatureInput::parse(&text) {
            let written = input.to_string();
            let again = SignatureInput::parse(&written).unwrap();
            prop_assert_eq!(&again.to_string(), &written);
            let request = Head::parse("GET /?a=1 HTTP/1.1\na: 1");
            let base = |input| request.request(|request| signature_base(Message::Request(request), input));
            prop_assert_eq!(base(&input), base(&again));
        }
    }
}
