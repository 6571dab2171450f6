use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connexus_domain::{Error, Result};
use rand::TryRngCore;
use rand::rngs::OsRng;

/// A new signing secret for a first start: 384 random bits as text, more than HS256 can make use of.
///
/// Errors: `Internal` when the operating system gives no randomness.
pub fn random_secret() -> Result<String> {
    random_text::<48>()
}

/// `N` bytes from the operating system as unpadded base64url, which needs no quoting in a URL, a header,
/// an environment file or TOML.
pub(crate) fn random_text<const N: usize>() -> Result<String> {
    let mut bytes = [0_u8; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_48_bytes_and_never_the_same() {
        let one = random_secret().unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(&one).unwrap().len(), 48);
        assert_ne!(one, random_secret().unwrap());
    }
}
