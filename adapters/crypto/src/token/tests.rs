use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::*;

const NEW: &str = "a secret that is new and 32 bytes";
const OLD: &str = "a secret that is old and 32 bytes";
const NOW: i64 = 1_800_000_000_000;

fn issuer_with(secrets: &[&str], issuer: &str, audience: &str) -> JwtIssuer {
    JwtIssuer::new(JwtSettings {
        secrets: secrets.iter().map(|&text| text.into()).collect(),
        issuer: issuer.into(),
        audience: audience.into(),
    })
    .unwrap()
}

fn issuer(secrets: &[&str]) -> JwtIssuer {
    issuer_with(secrets, "connexus", "clients")
}

fn claims() -> AccessClaims {
    AccessClaims {
        user_id: UserId::from_uuid(Uuid::from_u128(7)),
        session_id: SessionId::from_uuid(Uuid::from_u128(8)),
        username: "ada".into(),
        dialect: Some("rooms".into()),
        issued_at: Timestamp::from_millis(NOW),
        expires_at: Timestamp::from_millis(NOW + 900_000),
    }
}

fn verify(issuer: &JwtIssuer, token: &str) -> Result<AccessClaims> {
    issuer.verify_access(token, Timestamp::from_millis(NOW))
}

fn invalid<T>(result: &Result<T>) -> bool {
    matches!(
        result,
        Err(Error::Unauthenticated(AuthFailure::InvalidToken))
    )
}

fn expired<T>(result: &Result<T>) -> bool {
    matches!(
        result,
        Err(Error::Unauthenticated(AuthFailure::ExpiredToken))
    )
}

fn part(token: &str, index: usize) -> String {
    let bytes = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(index).unwrap())
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A token with a header and claims of one's own, signed with the right secret.
fn forged(alg: Algorithm, kid: Option<String>, claims: &str) -> String {
    #[derive(Serialize)]
    struct Raw<'a> {
        #[serde(flatten)]
        fields: std::collections::BTreeMap<&'a str, Field<'a>>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Field<'a> {
        Text(&'a str),
        Number(i64),
    }
    let fields = claims
        .split(' ')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let value = value.parse().map_or(Field::Text(value), Field::Number);
            (name, value)
        })
        .collect();
    let mut header = Header::new(alg);
    header.kid = kid;
    jsonwebtoken::encode(
        &header,
        &Raw { fields },
        &EncodingKey::from_secret(NEW.as_bytes()),
    )
    .unwrap()
}

const GOOD: &str = "iss=connexus aud=clients username=ada iat=1800000000 exp=1800000900 \
    sub=00000000-0000-0000-0000-000000000007 sid=00000000-0000-0000-0000-000000000008";

fn right_kid() -> String {
    kid(&NEW.into())
}

#[test]
fn what_was_issued_is_read_back() {
    let issuer = issuer(&[NEW]);
    let token = issuer.issue_access(&claims()).unwrap();
    assert_eq!(verify(&issuer, &token).unwrap(), claims());
}

#[test]
fn front_ends_find_what_they_look_for_inside() {
    let token = issuer(&[NEW]).issue_access(&claims()).unwrap();
    let header = part(&token, 0);
    assert!(header.contains(r#""alg":"HS256""#), "{header}");
    assert!(
        header.contains(&format!(r#""kid":"{}""#, kid(&NEW.into()))),
        "{header}"
    );
    let user = "00000000-0000-0000-0000-000000000007";
    assert_eq!(
        part(&token, 1),
        format!(
            r#"{{"iss":"connexus","aud":"clients","sub":"{user}","sid":"00000000-0000-0000-0000-000000000008","iat":1800000000,"exp":1800000900,"userId":"{user}","id":"{user}","username":"ada","dialect":"rooms"}}"#
        )
    );
}

#[test]
fn a_key_is_named_by_the_head_of_its_digest() {
    // SHA-256("abc") starts ba7816bf 8f01cfea
    assert_eq!(kid(&"abc".into()), "ba7816bf8f01cfea");
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let issuer = issuer(&[NEW]);
    let token = issuer.issue_access(&claims()).unwrap();
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(invalid(&verify(&issuer, &changed)), "byte {at}");
    }
    let payload = URL_SAFE_NO_PAD.encode(part(&token, 1).replace("ada", "eve"));
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[1] = &payload;
    assert!(invalid(&verify(&issuer, &parts.join("."))));
}

#[test]
fn what_is_no_token_is_invalid() {
    let issuer = issuer(&[NEW]);
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        "null",
        "é.é.é",
        "eyJhbGciOiJIUzI1NiJ9..",
    ] {
        assert!(invalid(&verify(&issuer, text)), "{text:?}");
    }
}

#[test]
fn the_algorithm_is_ours_to_choose() {
    let issuer = issuer(&[NEW]);
    assert!(verify(&issuer, &forged(Algorithm::HS256, Some(right_kid()), GOOD)).is_ok());
    for alg in [Algorithm::HS384, Algorithm::HS512] {
        let token = forged(alg, Some(right_kid()), GOOD);
        assert!(invalid(&verify(&issuer, &token)), "{alg:?}");
    }
    let payload = issuer.issue_access(&claims()).unwrap();
    let payload = payload.split('.').nth(1).unwrap();
    let kid = kid(&NEW.into());
    for alg in ["none", "None", "NONE", "RS256", "ES256", "EdDSA", "HS1"] {
        let header =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{kid}"}}"#));
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert!(invalid(&verify(&issuer, &token)), "{alg}");
        }
    }
}

#[test]
fn a_foreign_key_opens_nothing() {
    let ours = issuer(&[NEW]);
    let foreign = issuer(&["somebody else's secret of 32 byte"]);
    assert!(invalid(&verify(
        &ours,
        &foreign.issue_access(&claims()).unwrap()
    )));
    // nor does a foreign signature under the name of our key
    let mut liar = issuer(&["somebody else's secret of 32 byte"]);
    liar.header.kid = Some(right_kid());
    assert!(invalid(&verify(
        &ours,
        &liar.issue_access(&claims()).unwrap()
    )));
    // nor our signature under another name, or none
    assert!(invalid(&verify(
        &ours,
        &forged(Algorithm::HS256, None, GOOD)
    )));
    let other = Some("0000000000000000".to_owned());
    assert!(invalid(&verify(
        &ours,
        &forged(Algorithm::HS256, other, GOOD)
    )));
}

#[test]
fn a_previous_secret_verifies_until_it_is_dropped() {
    let before = issuer(&[OLD]);
    let during = issuer(&[NEW, OLD]);
    let after = issuer(&[NEW]);
    let old = before.issue_access(&claims()).unwrap();
    let new = during.issue_access(&claims()).unwrap();
    assert!(verify(&during, &old).is_ok());
    assert!(verify(&during, &new).is_ok());
    assert!(verify(&after, &new).is_ok(), "the first secret signs");
    assert!(invalid(&verify(&after, &old)));
    assert!(invalid(&verify(&before, &new)));
}

#[test]
fn expiry_is_exact_and_by_the_callers_clock() {
    let issuer = issuer(&[NEW]);
    let token = issuer.issue_access(&claims()).unwrap();
    let end = NOW + 900_000;
    let at = |millis| issuer.verify_access(&token, Timestamp::from_millis(millis));
    assert!(at(end - 1).is_ok());
    assert!(expired(&at(end)));
    assert!(expired(&at(end + 1)));
    // a part of a second is not given away
    let mut odd = claims();
    odd.expires_at = Timestamp::from_millis(end + 999);
    let token = issuer.issue_access(&odd).unwrap();
    assert!(expired(
        &issuer.verify_access(&token, Timestamp::from_millis(end))
    ));
}

#[test]
fn a_bad_signature_is_invalid_even_when_expired() {
    let issuer = issuer(&[NEW]);
    let token = issuer.issue_access(&claims()).unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    let later = Timestamp::from_millis(NOW + 1_000_000);
    assert!(expired(&issuer.verify_access(&token, later)));
    assert!(invalid(
        &issuer.verify_access(&format!("{signed}.AAAA"), later)
    ));
}

#[test]
fn issuer_and_audience_must_be_ours() {
    let ours = issuer(&[NEW]);
    for (iss, aud) in [("other", "clients"), ("connexus", "other")] {
        let token = issuer_with(&[NEW], iss, aud)
            .issue_access(&claims())
            .unwrap();
        assert!(invalid(&verify(&ours, &token)), "{iss} {aud}");
    }
}

#[test]
fn every_claim_is_needed_and_must_make_sense() {
    let issuer = issuer(&[NEW]);
    for left_out in ["iss", "aud", "sub", "sid", "iat", "exp", "username"] {
        let claims: Vec<&str> = GOOD
            .split(' ')
            .filter(|pair| !pair.starts_with(&format!("{left_out}=")))
            .collect();
        let token = forged(Algorithm::HS256, Some(right_kid()), &claims.join(" "));
        assert!(invalid(&verify(&issuer, &token)), "{left_out}");
    }
    for (from, to) in [
        ("exp=1800000900", "exp=soon"),
        ("exp=1800000900", "exp=9223372036854775807"),
        ("sub=00000000-0000-0000-0000-000000000007", "sub=7"),
        ("sid=00000000-0000-0000-0000-000000000008", "sid=x"),
    ] {
        let token = forged(Algorithm::HS256, Some(right_kid()), &GOOD.replace(from, to));
        assert!(invalid(&verify(&issuer, &token)), "{to}");
    }
}

#[test]
fn nothing_signs_with_nothing() {
    let settings = |secrets: Vec<SecretString>| JwtSettings {
        secrets,
        issuer: "i".into(),
        audience: "a".into(),
    };
    assert_eq!(
        JwtIssuer::new(settings(vec![])).err(),
        Some(JwtSettingsError::NoSecret)
    );
    assert_eq!(
        JwtIssuer::new(settings(vec![NEW.into(), "".into()])).err(),
        Some(JwtSettingsError::EmptySecret)
    );
}

#[test]
fn a_refresh_token_is_random_text_and_its_digest() {
    let issuer = issuer(&[NEW]);
    let one = issuer.issue_refresh().unwrap();
    let two = issuer.issue_refresh().unwrap();
    assert_ne!(one.token, two.token);
    let random = one.token.strip_prefix(REFRESH_PREFIX).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
    assert_eq!(one.hash, issuer.hash_refresh(&one.token));
    assert_ne!(one.hash, two.hash);
    // SHA-256("abc")
    assert_eq!(issuer.hash_refresh("abc").0[..4], [0xba, 0x78, 0x16, 0xbf]);
}

#[test]
fn a_signed_text_is_recognised_and_is_no_token() {
    let issuer = issuer(&["one secret", "another"]);
    let signature = issuer.sign("attachment 1").unwrap();
    assert!(issuer.is_signed("attachment 1", &signature));
    assert!(!issuer.is_signed("attachment 2", &signature));
    assert!(!issuer.is_signed("attachment 1", ""));
    assert!(!issuer.is_signed("attachment 1", "%%%"));
    let token = issuer.issue_access(&claims()).unwrap();
    let (text, signature) = token.rsplit_once('.').unwrap();
    assert!(!issuer.is_signed(text, signature));
}
