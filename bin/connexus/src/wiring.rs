//! Picks adapters by configuration and wires them to the application.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use connexus_application::settings::{
    AuthSettings, CoalescerSettings, DeliverySettings, FileSettings, PresenceSettings,
    SearchSettings, Settings, SyncSettings,
};
use connexus_application::{Connexus, Metered, Ports};
use connexus_blobs::{
    BlobSettings, Clamd, ClamdAddress, ClamdSettings, Intake, IntakeSettings, S3Keys, Spool,
};
use connexus_crypto::{
    Argon2Hasher, Argon2Params, HasherSettings, JwtIssuer, JwtSettings, SystemClock, UuidV7Source,
};
use connexus_domain::ports::{
    BlobStore, MalwareScanner, MediaFormat, MediaIntake, SizeLimits, Storage,
};
use connexus_domain::{AttachmentId, Error};
use connexus_limits::{GovernorLimiter, LimitSettings, Rate};

use crate::backends;
use crate::config::{Config, Profile};
use crate::files;

/// How long the start waits for the store of files.
const FILES_PATIENCE: Duration = Duration::from_secs(5);

/// Opens the database that the URL names, and waits a bounded time for it.
pub async fn storage(config: &Config) -> anyhow::Result<Arc<dyn Storage>> {
    let deadline =
        tokio::time::Instant::now() + Duration::from_millis(config.storage.connect_timeout_ms);
    let mut told = false;
    loop {
        match open(config).await {
            Ok(storage) => return Ok(storage),
            Err(error @ Error::Unavailable { .. }) if tokio::time::Instant::now() < deadline => {
                if !told {
                    tracing::warn!(cause = %cause(&error), "the database does not answer yet; waiting for it");
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => anyhow::bail!("storage.url: {}", cause(&error)),
        }
    }
}

async fn open(config: &Config) -> Result<Arc<dyn Storage>, Error> {
    let storage = backends::connect(config).await?;
    storage.migrate().await?;
    Ok(storage)
}

/// The innermost cause, which is what an operator can do something about.
fn cause(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// `connexus migrate`.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let storage = storage(config).await?;
    crate::show::out(&format!("{}: the schema is up to date", storage.name()))?;
    storage.close().await;
    Ok(())
}

/// The use-cases on their adapters, their tasks running.
pub async fn application(config: &Config) -> anyhow::Result<Arc<Connexus>> {
    let secret = files::jwt_secret(config)?;
    let secrets = std::iter::once(secret)
        .chain(config.auth.jwt_previous_secrets.iter().cloned())
        .collect();
    let tokens = JwtIssuer::new(JwtSettings {
        secrets,
        issuer: config.auth.jwt_issuer.clone(),
        audience: config.auth.jwt_audience.clone(),
    })
    .context("auth.jwt_secret")?;
    let passwords = Argon2Hasher::new(hasher(config)).context("auth.argon2")?;
    let spool = spool(config)?;
    let ports = Ports {
        storage: Arc::new(Metered::new(storage(config).await?)),
        clock: Arc::new(SystemClock),
        ids: Arc::new(UuidV7Source),
        passwords: Arc::new(passwords),
        tokens: Arc::new(tokens),
        blobs: blobs(config)?,
        intake: intake(config, spool.clone())?,
    };
    try_files(&ports, &spool).await?;
    Ok(Connexus::start(ports, settings(config)))
}

/// Where the bytes of files are.
fn blobs(config: &Config) -> anyhow::Result<Arc<dyn BlobStore>> {
    let files = &config.files;
    let mut settings = BlobSettings::new(files.url.clone());
    if !files.access_key_id.is_empty() {
        settings.keys = Some(S3Keys {
            access_key_id: files.access_key_id.clone(),
            secret_access_key: files.secret_access_key.clone(),
        });
    }
    connexus_blobs::open(&settings).context("files.url")
}

/// Where files are while they are received.
fn spool(config: &Config) -> anyhow::Result<Spool> {
    let folder = &config.files.temporary_dir;
    files::make_folder(folder).context("files.temporary_dir")?;
    Spool::open(folder).context("files.temporary_dir")
}

/// Stores and reads a small file. A store that is set wrongly is better found now than by the first user who
/// sends something; one that is away may come back, and chat goes on without it.
async fn try_files(ports: &Ports, spool: &Spool) -> anyhow::Result<()> {
    let id = AttachmentId::from_uuid(ports.ids.next());
    let probing = connexus_blobs::probe(&*ports.blobs, spool, id);
    match tokio::time::timeout(FILES_PATIENCE, probing).await {
        Ok(Ok(())) => {}
        Ok(Err(error @ Error::Unavailable { .. })) => {
            tracing::warn!(cause = %cause(&error), "files.url: the store cannot be used; going on without it");
        }
        Ok(Err(error)) => anyhow::bail!("files.url: {}", cause(&error)),
        Err(_elapsed) => {
            tracing::warn!("files.url: the store does not answer; going on without it");
        }
    }
    Ok(())
}

/// Receives files, and has them scanned where that is wanted.
fn intake(config: &Config, spool: Spool) -> anyhow::Result<Arc<dyn MediaIntake>> {
    let files = &config.files;
    let defaults = IntakeSettings::default();
    let allowed = files.allowed.iter().map(|name| {
        MediaFormat::parse(name).with_context(|| {
            format!("files.allowed = \"{name}\": is not a type that is known here")
        })
    });
    let settings = IntakeSettings {
        allowed: allowed.collect::<anyhow::Result<_>>()?,
        concurrency: match files.picture_concurrency {
            0 => defaults.concurrency,
            n => n,
        },
        ..defaults
    };
    let scanner = match files.clamd.as_str() {
        "" => None,
        address => {
            let address = ClamdAddress::parse(address)
                .context("files.clamd: must be tcp://HOST:PORT or unix:PATH")?;
            let clamd = Clamd::new(ClamdSettings::new(address));
            Some(Arc::new(clamd) as Arc<dyn MalwareScanner>)
        }
    };
    Ok(Arc::new(Intake::new(spool, settings, scanner)))
}

fn hasher(config: &Config) -> HasherSettings {
    let defaults = HasherSettings::default();
    let concurrency = match config.auth.hash_concurrency {
        0 => defaults.concurrency,
        n => n,
    };
    let params = Argon2Params {
        memory_kib: config.auth.argon2_memory_kib,
        iterations: config.auth.argon2_iterations,
        parallelism: config.auth.argon2_parallelism,
    };
    HasherSettings {
        params,
        concurrency,
        ..defaults
    }
}

fn settings(config: &Config) -> Settings {
    let millis = Duration::from_millis;
    Settings {
        auth: AuthSettings {
            access_ttl: Duration::from_secs(config.auth.access_ttl_s),
            refresh_ttl: Duration::from_secs(config.auth.refresh_ttl_s),
            password_min: config.auth.password_min,
            dialect_access_ttl: Duration::from_secs(config.dialects.token_ttl_s),
            dialect_password_min: config.dialects.password_min,
            ..AuthSettings::default()
        },
        coalescer: CoalescerSettings {
            lanes: config.coalescer.lanes,
            max_batch: config.coalescer.max_batch,
            queue: config.coalescer.queue,
        },
        delivery: DeliverySettings {
            chatter_max_members: config.delivery.chatter_max_members,
            receipt_flush: millis(config.delivery.receipt_flush_ms),
            linger: millis(config.delivery.linger_ms),
            roster_cache: config.delivery.roster_cache,
            ..DeliverySettings::default()
        },
        presence: PresenceSettings {
            grace: millis(config.presence.grace_ms),
            push_interval: millis(config.presence.push_interval_ms),
            max_members: config.presence.max_members,
        },
        files: FileSettings {
            max_size: SizeLimits {
                image: config.files.max_image,
                video: config.files.max_video,
                audio: config.files.max_audio,
                file: config.files.max_file,
            },
            link_ttl: Duration::from_secs(config.files.link_ttl_s),
            redirect: config.files.redirect,
            orphan_after: Duration::from_secs(config.files.orphan_after_s),
        },
        search: SearchSettings {
            index_after: millis(config.search.index_after_ms),
        },
        sync: SyncSettings {
            max_lag: config.sync.max_lag,
            snapshot_messages: config.sync.snapshot_messages,
            max_changes: config.sync.max_changes,
        },
    }
}

/// The limiter that the configuration asks for.
pub fn limiter(config: &Config) -> anyhow::Result<Arc<GovernorLimiter>> {
    let limits = &config.limits;
    let mut settings = match limits.profile {
        Profile::Off => LimitSettings::off(),
        Profile::Normal => LimitSettings::normal(),
        Profile::Strict => LimitSettings::strict(),
    };
    if limits.window_ms > 0 && limits.window_requests > 0 && limits.profile != Profile::Off {
        let window = Duration::from_millis(limits.window_ms);
        let auth = Rate::new((limits.window_requests / 20).max(1), window);
        settings = LimitSettings::window(Rate::new(limits.window_requests, window), auth);
    }
    settings.max_subjects = limits.max_subjects;
    Ok(Arc::new(GovernorLimiter::new(settings).context("limits")?))
}
