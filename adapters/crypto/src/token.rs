use connexus_domain::ports::{AccessClaims, IssuedRefresh, TokenIssuer};
use connexus_domain::session::TokenHash;
use connexus_domain::{AuthFailure, Error, Result, SessionId, Timestamp, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::random::random_text;

/// How every refresh token starts, so that a secret scanner recognises one.
pub const REFRESH_PREFIX: &str = "cxr_";

/// How tokens are signed.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// The first signs, all verify: to change the secret, put the new one in front and drop the old one
    /// when the last token that it signed has expired.
    pub secrets: Vec<SecretString>,
    /// The claim `iss` of every token.
    pub issuer: String,
    /// The claim `aud` of every token.
    pub audience: String,
}

/// Settings that no issuer can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtSettingsError {
    /// Nothing to sign with.
    #[error("at least one secret is needed to sign tokens")]
    NoSecret,
    /// Anybody could sign.
    #[error("a secret that signs tokens must not be empty")]
    EmptySecret,
}

/// The claims on the wire (RFC 7519). `userId` and `id` say what `sub` says, under the names that existing
/// front ends read without verifying.
#[derive(Serialize)]
struct Issued<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: UuidText,
    sid: UuidText,
    iat: i64,
    exp: i64,
    #[serde(rename = "userId")]
    user_id: UuidText,
    id: UuidText,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'a str>,
}

/// What is read back; `iss` and `aud` are checked by the validation.
#[derive(Deserialize)]
struct Presented {
    sub: String,
    sid: String,
    iat: i64,
    exp: i64,
    username: String,
    #[serde(default)]
    dialect: Option<Box<str>>,
}

/// A UUID that serialises as its text.
#[derive(Clone, Copy)]
struct UuidText(uuid::Uuid);

impl Serialize for UuidText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = uuid::Uuid::encode_buffer();
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

struct VerifyingKey {
    kid: String,
    key: DecodingKey,
}

/// Signs and checks access tokens with HS256, and makes refresh tokens.
pub struct JwtIssuer {
    header: Header,
    signing: EncodingKey,
    verifying: Vec<VerifyingKey>,
    validation: Validation,
    issuer: String,
    audience: String,
}

impl JwtIssuer {
    /// Refuses an empty list and an empty secret; how long a secret must be is the configuration's affair.
    pub fn new(settings: JwtSettings) -> Result<Self, JwtSettingsError> {
        let JwtSettings {
            secrets,
            issuer,
            audience,
        } = settings;
        if secrets
            .iter()
            .any(|secret| secret.expose_secret().is_empty())
        {
            return Err(JwtSettingsError::EmptySecret);
        }
        let first = secrets.first().ok_or(JwtSettingsError::NoSecret)?;
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(kid(first));
        let mut validation = Validation::new(Algorithm::HS256);
        // the time comes from the caller, and is compared below
        validation.validate_exp = false;
        validation.leeway = 0;
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        Ok(Self {
            header,
            signing: EncodingKey::from_secret(first.expose_secret().as_bytes()),
            verifying: secrets
                .iter()
                .map(|secret| VerifyingKey {
                    kid: kid(secret),
                    key: DecodingKey::from_secret(secret.expose_secret().as_bytes()),
                })
                .collect(),
            validation,
            issuer,
            audience,
        })
    }

    fn presented(&self, token: &str) -> Result<Presented> {
        let header = jsonwebtoken::decode_header(token).map_err(rejected)?;
        let key = self
            .verifying
            .iter()
            .find(|known| header.kid.as_ref() == Some(&known.kid))
            .ok_or(INVALID)?;
        jsonwebtoken::decode(token, &key.key, &self.validation)
            .map(|data| data.claims)
            .map_err(rejected)
    }
}

const INVALID: Error = Error::Unauthenticated(AuthFailure::InvalidToken);

/// A fault of the crypto library is ours; whatever else is wrong with a token is its bearer's, and which
/// of the checks failed is not said.
fn rejected(error: jsonwebtoken::errors::Error) -> Error {
    match error.kind() {
        ErrorKind::Provider(_) | ErrorKind::Signing(_) => Error::internal(error),
        _ => INVALID,
    }
}

/// What is signed of a text: it begins as no token does, since a token has no colon.
fn signed(text: &str) -> Vec<u8> {
    [b"text:", text.as_bytes()].concat()
}

/// Names a secret without telling it: the first 64 bits of its SHA-256, in hex.
fn kid(secret: &SecretString) -> String {
    let digest = Sha256::digest(secret.expose_secret().as_bytes());
    let mut head = [0_u8; 8];
    head.copy_from_slice(&digest[..8]);
    format!("{:016x}", u64::from_be_bytes(head))
}

/// NumericDate (RFC 7519): whole seconds, rounded down, so that a token never outlives what it was given.
fn seconds(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(1000)
}

fn from_seconds(seconds: i64) -> Result<Timestamp> {
    seconds
        .checked_mul(1000)
        .map(Timestamp::from_millis)
        .ok_or(INVALID)
}

impl TokenIssuer for JwtIssuer {
    fn issue_access(&self, claims: &AccessClaims) -> Result<String> {
        let user = UuidText(claims.user_id.as_uuid());
        let issued = Issued {
            iss: &self.issuer,
            aud: &self.audience,
            sub: user,
            sid: UuidText(claims.session_id.as_uuid()),
            iat: seconds(claims.issued_at),
            exp: seconds(claims.expires_at),
            user_id: user,
            id: user,
            username: &claims.username,
            dialect: claims.dialect.as_deref(),
        };
        jsonwebtoken::encode(&self.header, &issued, &self.signing).map_err(Error::internal)
    }

    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims> {
        let presented = self.presented(token)?;
        let claims = AccessClaims {
            user_id: presented.sub.parse::<UserId>().or(Err(INVALID))?,
            session_id: presented.sid.parse::<SessionId>().or(Err(INVALID))?,
            username: presented.username,
            dialect: presented.dialect,
            issued_at: from_seconds(presented.iat)?,
            expires_at: from_seconds(presented.exp)?,
        };
        // RFC 7519: not to be accepted on or after `exp`
        if claims.expires_at <= now {
            return Err(Error::Unauthenticated(AuthFailure::ExpiredToken));
        }
        Ok(claims)
    }

    fn sign(&self, text: &str) -> Result<String> {
        jsonwebtoken::crypto::sign(&signed(text), &self.signing, Algorithm::HS256)
            .map_err(Error::internal)
    }

    fn is_signed(&self, text: &str, signature: &str) -> bool {
        self.verifying.iter().any(|known| {
            jsonwebtoken::crypto::verify(signature, &signed(text), &known.key, Algorithm::HS256)
                .unwrap_or(false)
        })
    }

    fn issue_refresh(&self) -> Result<IssuedRefresh> {
        let token = format!("{REFRESH_PREFIX}{}", random_text::<32>()?);
        let hash = self.hash_refresh(&token);
        Ok(IssuedRefresh { token, hash })
    }

    /// One fast hash and no salt: the token is 256 random bits, which nobody can guess their way to.
    fn hash_refresh(&self, token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests;
