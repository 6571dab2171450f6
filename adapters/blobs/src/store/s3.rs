//! Blobs in a bucket of an S3-compatible store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::{BlobKey, BlobRead, BlobStore, Content, Presign};
use connexus_domain::{AttachmentId, Error, Result, Timestamp};
use futures_util::StreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer as _};
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, StatusCode, redirect};
use secrecy::ExposeSecret as _;

use super::settings::Bucket;
use super::{BlobSettings, SettingsError, delete, path, read, size};
use crate::error;

/// How often a request is tried again.
const RETRIES: u32 = 2;
/// What an upload may need at least: this many bytes a second, beside the timeout.
const SLOWEST: u64 = 64 * 1024;
/// How long the address of an upload may wait for its first byte.
const UPLOAD_TTL: Duration = Duration::from_mins(5);

/// A bucket.
///
/// A blob is sent by one PUT, straight from its file, to an address that we sign for ourselves. The crate's own
/// way would hold parts of 5 MiB in memory, which is S3's smallest, and would leave parts behind when the
/// process is killed. A PUT takes up to 5 GiB, holds one piece in memory, and S3 keeps nothing of one that was
/// broken off or whose SHA-256 is not what was announced.
#[derive(Debug)]
pub struct S3Blobs {
    store: Arc<AmazonS3>,
    client: Client,
    prefix: Path,
    timeout: Duration,
}

impl S3Blobs {
    /// Connects at the first use: a store that is away does not keep the server from starting.
    pub(super) fn open(bucket: &Bucket, settings: &BlobSettings) -> Result<Self, SettingsError> {
        let options = ClientOptions::new()
            .with_allow_http(bucket.allow_http)
            .with_connect_timeout(settings.timeout)
            // of a whole answer: a client with a slow link may take long over a large blob
            .with_timeout_disabled()
            .with_read_timeout(settings.timeout);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
            },
            max_retries: RETRIES as usize,
            retry_timeout: settings.timeout,
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&bucket.name)
            .with_client_options(options)
            .with_retry(retry)
            .with_virtual_hosted_style_request(bucket.virtual_hosted)
            // not every store has it
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        if let Some(keys) = &settings.keys {
            builder = builder
                .with_access_key_id(&keys.access_key_id)
                .with_secret_access_key(keys.secret_access_key.expose_secret());
        }
        let client = Client::builder()
            .connect_timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| SettingsError::Client(error.into()))?;
        let prefix = Path::parse(&bucket.prefix)
            .map_err(|error| SettingsError::Url(format!("the prefix: {error}")))?;
        let store = builder
            .build()
            .map_err(|error| SettingsError::Client(error.into()))?;
        Ok(Self {
            store: Arc::new(store),
            client,
            prefix,
            timeout: settings.timeout,
        })
    }

    /// One attempt. The inner error is worth another one.
    async fn send(
        &self,
        path: &Path,
        content: &dyn Content,
        media_type: &str,
    ) -> Result<Result<(), Failed>> {
        let media_type = HeaderValue::from_str(media_type).map_err(Error::internal)?;
        let checksum =
            HeaderValue::from_str(&base64(&content.sha256())).map_err(Error::internal)?;
        let options = SignedUrlOptions::new()
            .with_signed_header(CONTENT_TYPE, media_type.clone())
            .with_signed_header(CHECKSUM, checksum.clone());
        let url = self
            .store
            .signed_url_opts(Method::PUT, path, UPLOAD_TTL, &options)
            .await
            .map_err(error::domain)?;
        let answer = self
            .client
            .put(url)
            .timeout(self.timeout + Duration::from_secs(content.size() / SLOWEST))
            .header(CONTENT_TYPE, media_type)
            .header(CHECKSUM, checksum)
            // S3 takes no body whose length it does not know
            .header(CONTENT_LENGTH, content.size())
            .body(Body::wrap_stream(content.open()))
            .send()
            .await;
        let status = match answer {
            Ok(answer) => answer.status(),
            // its address has the signature in it, which is no business of the log
            Err(error) => return Ok(Err(Failed::Connection(error.without_url()))),
        };
        match status {
            status if status.is_success() => Ok(Ok(())),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Ok(Err(Failed::Status(status)))
            }
            status if status.is_server_error() => Ok(Err(Failed::Status(status))),
            status => Err(Error::internal(Failed::Status(status))),
        }
    }
}

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// An upload that did not succeed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the store has answered an upload with {0}")]
    Status(StatusCode),
    #[error("the upload to the store was broken off")]
    Connection(#[source] reqwest::Error),
}

#[async_trait]
impl BlobStore for S3Blobs {
    fn name(&self) -> &'static str {
        "s3"
    }

    async fn put(&self, key: BlobKey, content: &dyn Content, media_type: &str) -> Result<()> {
        let path = path(&self.prefix, key);
        let mut wait = Duration::from_millis(100);
        for _ in 0..RETRIES {
            if self.send(&path, content, media_type).await?.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
        self.send(&path, content, media_type)
            .await?
            .map_err(Error::unavailable)
    }

    async fn read(&self, key: BlobKey, range: Option<Range<u64>>) -> Result<Option<BlobRead>> {
        read(&*self.store, &path(&self.prefix, key), range).await
    }

    async fn size(&self, key: BlobKey) -> Result<Option<u64>> {
        size(&*self.store, &path(&self.prefix, key)).await
    }

    async fn delete(&self, attachment_id: AttachmentId) -> Result<()> {
        delete(&*self.store, &self.prefix, attachment_id).await
    }

    async fn presign(&self, key: BlobKey, how: &Presign<'_>) -> Result<Option<String>> {
        let options = SignedUrlOptions::new().with_query([
            ("response-content-type", how.media_type),
            ("response-content-disposition", how.disposition),
        ]);
        let url = self
            .store
            .signed_url_opts(
                Method::GET,
                &path(&self.prefix, key),
                how.ttl.max(Duration::from_secs(1)),
                &options,
            )
            .await
            .map_err(error::domain)?;
        Ok(Some(url.into()))
    }

    /// Needs the right to list the bucket, which tells a missing bucket from a missing blob.
    async fn ping(&self) -> Result<()> {
        let nowhere = self.prefix.clone().join("ping");
        // refused keys are told by this request, a missing bucket by the next
        error::present(self.store.head(&nowhere).await)?;
        match self.store.list(Some(&nowhere)).next().await {
            Some(Err(error)) => Err(error::domain(error)),
            _ => Ok(()),
        }
    }

    /// S3 keeps nothing of a PUT that was broken off.
    async fn sweep(&self, _before: Timestamp) -> Result<u64> {
        Ok(0)
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
