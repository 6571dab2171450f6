//! Passwords (argon2id), access tokens (JWT), refresh tokens, and the process's clock and ids.

mod ambient;
mod password;
mod random;
mod token;

pub use ambient::{SystemClock, UuidV7Source};
pub use password::{Argon2Hasher, Argon2Params, HasherError, HasherSettings};
pub use random::random_secret;
pub use token::{JwtIssuer, JwtSettings, JwtSettingsError, REFRESH_PREFIX};
