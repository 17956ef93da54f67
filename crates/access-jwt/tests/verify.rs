//! `verify` from outside: real keys, real signatures, and what RFC 8725 warns of.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests: a helper may fail the test")]

use access_jwt::{Audience, Failure, Identity, KeySet, Policy, Refused, TeamDomain, Token, Verified, rust_crypto};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

const TEAM: &str = "https://team.cloudflareaccess.com";
const AUD: &str = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
const NOW: u64 = 1_800_000_000;
const PUBLIC_PEM: &str = include_str!("data/access-2048.pub.pem");

static KEY: LazyLock<EncodingKey> =
    LazyLock::new(|| EncodingKey::from_rsa_pem(include_bytes!("data/access-2048.pem")).unwrap());
static SHORT_KEY: LazyLock<EncodingKey> =
    LazyLock::new(|| EncodingKey::from_rsa_pem(include_bytes!("data/short-1024.pem")).unwrap());
static VALID: LazyLock<String> = LazyLock::new(|| signed(&header(), &service()));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| key_set(&[jwk(&KEY, "current"), jwk(&SHORT_KEY, "short")]).unwrap());

fn jwk(key: &EncodingKey, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some(kid.into());
    jwk
}

fn key_set(keys: &[Jwk]) -> Result<KeySet, access_jwt::Invalid> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "current"})
}

/// As documentation page "Application token" shows a service token's.
fn service() -> Value {
    json!({"type": "app", "aud": [AUD], "iss": TEAM, "exp": NOW + 3600, "iat": NOW, "nbf": NOW, "sub": "",
           "common_name": "e367826f93b8d71185e03fe518aff3b4.access"})
}

fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn signed_by(key: &EncodingKey, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    format!("{input}.{}", sign(input.as_bytes(), key, algorithm).unwrap())
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_by(&KEY, Algorithm::RS256, header, claims)
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

fn policy() -> Policy {
    Policy { team_domain: TeamDomain::parse(TEAM).unwrap(), audience: Audience::parse(AUD).unwrap() }
}

fn verify(token: &str) -> Result<Identity, Refused> {
    let token = Token::parse(token)?;
    match ready(access_jwt::verify(&token, &KEYS, &policy(), Duration::from_secs(NOW), rust_crypto)) {
        Ok(Verified { identity, .. }) => Ok(identity),
        Err(Failure::Refused(why)) => Err(why),
        Err(Failure::Unchecked(cause)) => panic!("{cause}"),
    }
}

#[test]
fn a_service_and_a_person_are_told_apart() {
    let client_id = "e367826f93b8d71185e03fe518aff3b4.access".into();
    assert_eq!(verify(&VALID), Ok(Identity::Service { client_id }));

    let person = json!({"type": "app", "aud": [AUD], "iss": TEAM, "exp": NOW + 3600, "iat": NOW, "nbf": NOW,
                        "email": "user@example.com", "identity_nonce": "6ei69kawdKzMIAPF", "country": "US",
                        "sub": "7335d417-61da-459d-899c-0a01c76a2f94"});
    let subject = "7335d417-61da-459d-899c-0a01c76a2f94".into();
    assert_eq!(verify(&signed(&header(), &person)), Ok(Identity::Person { subject, email: "user@example.com".into() }));
}

#[test]
fn a_verified_token_says_when_it_will_be_refused() {
    let token = Token::parse(&VALID).unwrap();
    let at = |now| ready(access_jwt::verify(&token, &KEYS, &policy(), now, rust_crypto));
    let until = at(Duration::from_secs(NOW)).unwrap().until;
    assert_eq!(until, Duration::from_secs(NOW + 3600) + access_jwt::LEEWAY);
    assert_eq!(at(until.saturating_sub(Duration::from_millis(1))).unwrap().until, until);
    assert!(matches!(at(until), Err(Failure::Refused(Refused::Expired))));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let none = signing_input(&with(header(), "alg", json!("none")), &service());
    assert_eq!(verify(&format!("{none}.")), Err(Refused::Algorithm));
    let rs256 = signing_input(&header(), &service());
    assert_eq!(verify(&format!("{rs256}.")), Err(Refused::Signature));
    assert_eq!(verify(&rs256), Err(Refused::Malformed));
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let der: String = PUBLIC_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
    let public = serde_json::to_vec(&jwk(&KEY, "current")).unwrap();
    for secret in [PUBLIC_PEM.as_bytes(), PUBLIC_PEM.trim_end().as_bytes(), &der, &public] {
        let key = EncodingKey::from_secret(secret);
        let hs256 = signed_by(&key, Algorithm::HS256, &with(header(), "alg", json!("HS256")), &service());
        assert_eq!(verify(&hs256), Err(Refused::Algorithm));
        assert_eq!(verify(&signed_by(&key, Algorithm::HS256, &header(), &service())), Err(Refused::Signature));
    }
}

#[test]
fn another_hash_or_padding_under_the_same_key_is_refused() {
    for (algorithm, name) in [(Algorithm::RS512, "RS512"), (Algorithm::PS256, "PS256")] {
        let honest = signed_by(&KEY, algorithm, &with(header(), "alg", json!(name)), &service());
        assert_eq!(verify(&honest), Err(Refused::Algorithm));
        assert_eq!(verify(&signed_by(&KEY, algorithm, &header(), &service())), Err(Refused::Signature));
    }
}

#[test]
fn only_a_published_key_of_sufficient_size_counts() {
    assert_eq!(verify(&signed(&with(header(), "kid", json!("next")), &service())), Err(Refused::UnknownKey));
    let short = signed_by(&SHORT_KEY, Algorithm::RS256, &with(header(), "kid", json!("short")), &service());
    assert_eq!(verify(&short), Err(Refused::UnknownKey));
    assert_eq!(verify(&signed_by(&SHORT_KEY, Algorithm::RS256, &header(), &service())), Err(Refused::Signature));
    assert!(key_set(&[jwk(&SHORT_KEY, "short")]).is_err());
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let bring = with(header(), "jwk", json!(jwk(&SHORT_KEY, "current")));
    assert_eq!(verify(&signed_by(&SHORT_KEY, Algorithm::RS256, &bring, &service())), Err(Refused::Signature));
    let other = with(with(bring, "kid", json!("mine")), "jku", json!("https://elsewhere.example/certs"));
    assert_eq!(verify(&signed_by(&SHORT_KEY, Algorithm::RS256, &other, &service())), Err(Refused::UnknownKey));
}

#[test]
fn claims_count_only_under_their_own_signature() {
    let tampered = signing_input(&header(), &with(service(), "common_name", json!("admin.access")));
    let signature = VALID.rsplit_once('.').unwrap().1;
    assert_eq!(verify(&format!("{tampered}.{signature}")), Err(Refused::Signature));
}

#[test]
fn each_claim_is_checked_after_the_signature() {
    for (member, value, why) in [
        ("exp", json!(NOW - 60), Refused::Expired),
        ("nbf", json!(NOW + 61), Refused::NotYetValid),
        ("iss", json!("https://team.cloudflareaccess.com/"), Refused::Issuer),
        ("aud", json!(["another application"]), Refused::Audience),
        ("type", json!("org"), Refused::Identity),
        ("common_name", json!(""), Refused::Identity),
        ("exp", json!({}), Refused::Malformed),
    ] {
        let claims = with(service(), member, value);
        assert_eq!(verify(&signed(&header(), &claims)), Err(why));
        let forged = signed_by(&SHORT_KEY, Algorithm::RS256, &header(), &claims);
        assert_eq!(verify(&forged), Err(Refused::Signature), "{member} was read of a token that nobody signed");
    }
}

#[test]
fn a_check_that_failed_is_no_statement_about_the_token() {
    let fails = async |_: &access_jwt::Jwk, _: &[u8], _: &[u8]| Err("the key could not be imported");
    let verified =
        ready(access_jwt::verify(&Token::parse(&VALID).unwrap(), &KEYS, &policy(), Duration::from_secs(NOW), fails));
    assert_eq!(verified, Err(Failure::Unchecked("the key could not be imported")));
}

#[test]
fn huge_tokens_are_refused_and_a_clock_at_its_ends_does_not_overflow() {
    assert_eq!(verify(&"a".repeat(1_000_000)), Err(Refused::Malformed));
    assert_eq!(verify(&signed(&with(header(), "x", json!("a".repeat(8192))), &service())), Err(Refused::Malformed));
    for (now, why) in [(Duration::ZERO, Refused::NotYetValid), (Duration::MAX, Refused::Expired)] {
        let verified = ready(access_jwt::verify(&Token::parse(&VALID).unwrap(), &KEYS, &policy(), now, rust_crypto));
        assert!(matches!(verified, Err(Failure::Refused(refused)) if refused == why));
    }
}

#[test]
fn what_is_said_of_a_refused_token_holds_nothing_of_it() {
    let token = signed(&with(header(), "kid", json!("secret-kid")), &service());
    let why = verify(&token).unwrap_err();
    assert_eq!(why.to_string(), "the token's key is unknown");
}

#[test]
fn changing_any_one_byte_of_a_valid_token_refuses_it() {
    for at in 0..VALID.len() {
        let mut bytes = VALID.clone().into_bytes();
        bytes[at] ^= [0x01, 0x02, 0x20][at % 3];
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verify(&changed).is_err(), "byte {at}: {changed}");
    }
}

/// Believes every signature, so that what lies behind the check is reached without one.
async fn gullible(_: &access_jwt::Jwk, _: &[u8], _: &[u8]) -> Result<bool, Infallible> {
    Ok(true)
}

/// JSON that looks like a header or claims, with members of any type.
fn members() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "alg",
        "kid",
        "typ",
        "crit",
        "iss",
        "aud",
        "exp",
        "nbf",
        "iat",
        "type",
        "sub",
        "email",
        "common_name",
        "x",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec!["\"RS256\"", "\"current\"", "\"app\"", "\"\"", "null", "true", "[]", "{}", "1e999"])
            .prop_map(str::to_owned),
        Just(json!(TEAM).to_string()),
        Just(json!([AUD]).to_string()),
        any::<f64>().prop_map(|number| json!(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| json!(text).to_string()),
    ];
    prop::collection::vec((name, value), 0..12).prop_map(|members| {
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn no_text_verifies(text in any::<String>()) {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn no_claims_or_header_verify_without_the_key(header in members(), claims in members(), signature in any::<Vec<u8>>()) {
        let parts = [header.as_bytes(), claims.as_bytes(), &signature].map(|part| URL_SAFE_NO_PAD.encode(part));
        prop_assert!(verify(&parts.join(".")).is_err());
    }

    #[test]
    fn no_claims_panic_even_when_signed(claims in members(), bytes in any::<Vec<u8>>(), now in any::<u64>()) {
        for payload in [claims.as_bytes(), &bytes] {
            let parts = [header().to_string().as_bytes(), payload, b"s"].map(|part| URL_SAFE_NO_PAD.encode(part));
            let now = Duration::from_secs(now);
            let token = parts.join(".");
            let token = Token::parse(&token).unwrap();
            let _ = ready(access_jwt::verify(&token, &KEYS, &policy(), now, gullible));
        }
    }

    #[test]
    fn no_bytes_panic_as_a_key_set_or_as_configuration(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        prop_assert!(KeySet::parse(&bytes).is_err());
        let _ = (TeamDomain::parse(&text), TeamDomain::parse(&format!("https://{text}")), Audience::parse(&text));
    }

    #[test]
    fn keys_of_any_numbers_neither_panic_nor_verify(n in prop::collection::vec(any::<u8>(), 250..520), e in any::<[u8; 5]>()) {
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        let key = json!({"kid": "current", "kty": "RSA", "n": n, "e": e});
        if let Ok(keys) = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()) {
            let verified = ready(access_jwt::verify(&Token::parse(&VALID).unwrap(), &keys, &policy(), Duration::from_secs(NOW), rust_crypto));
            prop_assert!(verified.is_err());
        }
    }
}
