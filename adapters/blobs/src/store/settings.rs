//! The address of a store, and what else it needs.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// How to reach a store.
#[derive(Debug, Clone)]
pub struct BlobSettings {
    /// `file:FOLDER` or `s3://BUCKET`.
    pub url: String,
    /// For S3. Without them, they are looked for where Amazon's tools do: `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY`, a web identity, the instance's role.
    pub keys: Option<S3Keys>,
    /// How long S3 may take to answer, and to go on with what it sends.
    pub timeout: Duration,
}

impl BlobSettings {
    /// The address alone.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            keys: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Credentials of S3.
#[derive(Debug, Clone)]
pub struct S3Keys {
    /// Who.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: SecretString,
}

/// Why a store cannot be opened. The text names what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an address of a store.
    #[error("{0}")]
    Url(String),
    /// The folder cannot be used.
    #[error("cannot use the folder {}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the S3 client does not accept.
    #[error("cannot set up the S3 client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What an address names.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    Bucket(Bucket),
}

/// A bucket and how to reach it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    pub prefix: String,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub allow_http: bool,
    pub virtual_hosted: bool,
}

pub fn parse(url: &str) -> Result<Place, SettingsError> {
    let wrong = |what: &str| SettingsError::Url(what.to_owned());
    if let Some(folder) = url.strip_prefix("file:") {
        // a relative folder is no valid URL, yet the one that people mean
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        if folder.is_empty() {
            return Err(wrong(
                "names no folder; for example: file:./data/files, file:///srv/files",
            ));
        }
        return Ok(Place::Folder(folder.into()));
    }
    if !url.starts_with("s3://") {
        return Err(wrong("must begin with file: or s3://"));
    }
    let url = Url::parse(url).map_err(|error| SettingsError::Url(error.to_string()))?;
    let mut bucket = Bucket {
        name: url.host_str().unwrap_or_default().to_owned(),
        prefix: url.path().trim_matches('/').to_owned(),
        ..Bucket::default()
    };
    if bucket.name.is_empty() {
        return Err(wrong("names no bucket; for example: s3://bucket"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "must not contain keys: they belong in the environment",
        ));
    }
    for (name, value) in url.query_pairs() {
        match &*name {
            "endpoint" => bucket.endpoint = Some(endpoint(&value)?),
            "region" => bucket.region = Some(value.into_owned()),
            "allow_http" => bucket.allow_http = flag(&name, &value)?,
            "virtual_hosted" => bucket.virtual_hosted = flag(&name, &value)?,
            _ => {
                return Err(SettingsError::Url(format!(
                    "{name} is not known; there are endpoint, region, allow_http, virtual_hosted"
                )));
            }
        }
    }
    let plain = bucket
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http:"));
    if plain && !bucket.allow_http {
        return Err(wrong(
            "has an endpoint without TLS, which needs allow_http=true",
        ));
    }
    Ok(Place::Bucket(bucket))
}

fn endpoint(value: &str) -> Result<String, SettingsError> {
    let usable = Url::parse(value)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    if usable {
        Ok(value.trim_end_matches('/').to_owned())
    } else {
        Err(SettingsError::Url(
            "endpoint must be an address like https://storage.example.org".to_owned(),
        ))
    }
}

fn flag(name: &str, value: &str) -> Result<bool, SettingsError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(SettingsError::Url(format!("{name} must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_in_the_usual_ways() {
        for (url, folder) in [
            ("file:./data/files", "./data/files"),
            ("file:data", "data"),
            ("file:/srv/files", "/srv/files"),
            ("file:///srv/files", "/srv/files"),
        ] {
            assert_eq!(parse(url).unwrap(), Place::Folder(folder.into()), "{url}");
        }
    }

    #[test]
    fn a_bucket_says_where_it_is() {
        let url = "s3://files/chat/?endpoint=http://127.0.0.1:9000/&region=eu-1&allow_http=true";
        let bucket = Bucket {
            name: "files".to_owned(),
            prefix: "chat".to_owned(),
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            region: Some("eu-1".to_owned()),
            allow_http: true,
            virtual_hosted: false,
        };
        assert_eq!(parse(url).unwrap(), Place::Bucket(bucket));
        let Place::Bucket(plain) = parse("s3://files").unwrap() else {
            panic!("a bucket")
        };
        assert_eq!((plain.endpoint, plain.allow_http), (None, false));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, said) in [
            ("ftp://x", "file: or s3://"),
            ("file:", "no folder"),
            ("s3://", "no bucket"),
            ("s3://key:secret@files", "keys"),
            ("s3://files?colour=red", "colour"),
            ("s3://files?allow_http=maybe", "true or false"),
            ("s3://files?endpoint=storage", "endpoint must"),
            ("s3://files?endpoint=http://x", "allow_http"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
