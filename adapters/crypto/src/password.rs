use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier, Version, password_hash,
};
use async_trait::async_trait;
use connexus_domain::ports::{PasswordHash, PasswordHasher};
use connexus_domain::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::timeout;

use crate::random::random_text;

/// What a new hash costs. A stored hash is verified at the cost that it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Argon2Params {
    /// What OWASP's Password Storage Cheat Sheet asks of argon2id: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            iterations: 2,
            parallelism: 1,
        }
    }
}

/// How the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HasherSettings {
    /// What a new hash costs.
    pub params: Argon2Params,
    /// How many are worked on at once. Each takes a core and `params.memory_kib`.
    pub concurrency: usize,
    /// How many more may wait.
    pub queue: usize,
    /// How long one may wait before it is refused.
    pub max_wait: Duration,
}

impl Default for HasherSettings {
    /// Half of the cores, so that a storm of logins leaves the other half to those who are logged in.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            params: Argon2Params::default(),
            concurrency: (cores / 2).max(1),
            queue: 256,
            max_wait: Duration::from_secs(5),
        }
    }
}

/// Settings that no hasher can work with.
#[derive(Debug, thiserror::Error)]
pub enum HasherError {
    /// A cost that argon2 does not allow.
    #[error("argon2 does not allow these parameters")]
    Params(#[source] argon2::Error),
    /// Nothing would ever be hashed.
    #[error("concurrency must be from 1 to {max}", max = Semaphore::MAX_PERMITS)]
    Concurrency,
    /// The hash that stands in for absent users could not be made.
    #[error("no stand-in hash could be made")]
    Dummy(#[source] Error),
}

/// The queue is full, or the wait was too long.
#[derive(Debug, thiserror::Error)]
#[error("too many passwords are being checked")]
struct Overloaded;

/// argon2id behind a bounded queue.
pub struct Argon2Hasher {
    argon2: Argon2<'static>,
    /// Stands in for the hash of a user who is not there, at the cost of a new one.
    dummy: PasswordHash,
    /// A place for everyone who works or waits: bounds the queue.
    places: Arc<Semaphore>,
    /// A slot for everyone who works; first come, first served.
    slots: Arc<Semaphore>,
    max_wait: Duration,
}

impl Argon2Hasher {
    /// Makes one hash at the given cost, for the users who are not there, and so blocks for that long.
    pub fn new(settings: HasherSettings) -> Result<Self, HasherError> {
        let HasherSettings {
            params,
            concurrency,
            queue,
            max_wait,
        } = settings;
        let params = Params::new(
            params.memory_kib,
            params.iterations,
            params.parallelism,
            None,
        )
        .map_err(HasherError::Params)?;
        if !(1..=Semaphore::MAX_PERMITS).contains(&concurrency) {
            return Err(HasherError::Concurrency);
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = random_text::<32>()
            .and_then(|password| hash_now(&argon2, &password))
            .map_err(HasherError::Dummy)?;
        let places = concurrency
            .saturating_add(queue)
            .min(Semaphore::MAX_PERMITS);
        Ok(Self {
            argon2,
            dummy,
            places: Arc::new(Semaphore::new(places)),
            slots: Arc::new(Semaphore::new(concurrency)),
            max_wait,
        })
    }

    /// Runs `work` on a blocking thread once it is its turn.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.turn().await?;
        tokio::task::spawn_blocking(move || {
            // held here and not by the caller: a client that goes away cannot stop the work, so its slot
            // must stay taken until the work is done
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)?
    }

    async fn turn(&self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits) => return Err(self.overloaded()),
            Err(closed @ TryAcquireError::Closed) => return Err(Error::internal(closed)),
        };
        match timeout(self.max_wait, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(slot) => Ok((place, slot.map_err(Error::internal)?)),
            Err(_elapsed) => Err(self.overloaded()),
        }
    }

    fn overloaded(&self) -> Error {
        Error::Unavailable {
            // within that time everyone who waits now was served or refused
            retry_after: self.max_wait.max(Duration::from_secs(1)),
            source: Arc::new(Overloaded),
        }
    }
}

#[async_trait]
impl PasswordHasher for Argon2Hasher {
    async fn hash(&self, password: &str) -> Result<PasswordHash> {
        let password = SecretString::from(password);
        let argon2 = self.argon2.clone();
        self.run(move || hash_now(&argon2, password.expose_secret()))
            .await
    }

    async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool> {
        let password = SecretString::from(password);
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy).clone();
        let argon2 = self.argon2.clone();
        let same = self
            .run(move || verify_now(&argon2, password.expose_secret(), &hash))
            .await?;
        Ok(same && known)
    }
}

fn hash_now(argon2: &Argon2<'_>, password: &str) -> Result<PasswordHash> {
    let hash = argon2
        .hash_password(password.as_bytes())
        .map_err(Error::internal)?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify_now(argon2: &Argon2<'_>, password: &str, hash: &PasswordHash) -> Result<bool> {
    let parsed = phc::PasswordHash::new(&hash.0).map_err(Error::internal)?;
    // takes algorithm, version and cost from the stored hash, not from `argon2`
    match argon2.verify_password(password.as_bytes(), &parsed) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(Error::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Argon2Params = Argon2Params {
        memory_kib: 8,
        iterations: 1,
        parallelism: 1,
    };

    fn settings() -> HasherSettings {
        HasherSettings {
            params: CHEAP,
            concurrency: 1,
            queue: 4,
            max_wait: Duration::from_mins(1),
        }
    }

    fn hasher() -> Argon2Hasher {
        Argon2Hasher::new(settings()).unwrap()
    }

    fn refused<T>(result: &Result<T>) -> bool {
        matches!(result, Err(Error::Unavailable { retry_after, .. }) if !retry_after.is_zero())
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = hasher();
        let hash = hasher.hash("correct horse").await.unwrap();
        assert!(hasher.verify("correct horse", Some(&hash)).await.unwrap());
        assert!(!hasher.verify("correct hors", Some(&hash)).await.unwrap());
        let again = hasher.hash("correct horse").await.unwrap();
        assert_ne!(hash.0, again.0, "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn the_default_cost_is_owasps_and_is_written_down() {
        let hasher = Argon2Hasher::new(HasherSettings::default()).unwrap();
        let hash = hasher.hash("pw").await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[tokio::test]
    async fn an_old_hash_is_verified_at_its_own_cost() {
        let old = hasher().hash("pw").await.unwrap();
        assert!(old.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let dearer = Argon2Hasher::new(HasherSettings {
            params: Argon2Params {
                memory_kib: 64,
                iterations: 3,
                parallelism: 2,
            },
            ..settings()
        })
        .unwrap();
        assert!(dearer.verify("pw", Some(&old)).await.unwrap());
        assert!(!dearer.verify("wp", Some(&old)).await.unwrap());
        let new = dearer.hash("pw").await.unwrap();
        assert!(new.0.starts_with("$argon2id$v=19$m=64,t=3,p=2$"));
        // what the altered cost gives is another hash: the cost in the text is really used
        let altered = PasswordHash(old.0.replace("t=1", "t=2"));
        assert!(!dearer.verify("pw", Some(&altered)).await.unwrap());
    }

    #[tokio::test]
    async fn an_absent_user_costs_the_same_and_never_matches() {
        let mut hasher = hasher();
        assert!(hasher.dummy.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(!hasher.verify("pw", None).await.unwrap());
        // not even when the password is the stand-in's
        hasher.dummy = hash_now(&hasher.argon2, "pw").unwrap();
        assert!(!hasher.verify("pw", None).await.unwrap());
        // the work is really done: a stand-in that cannot be checked is noticed
        hasher.dummy = PasswordHash("not a hash".into());
        assert!(matches!(
            hasher.verify("pw", None).await,
            Err(Error::Internal { .. })
        ));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let hasher = Argon2Hasher::new(HasherSettings {
            queue: 0,
            ..settings()
        })
        .unwrap();
        let busy = hasher.turn().await.unwrap();
        assert!(refused(&hasher.hash("pw").await));
        assert!(refused(&hasher.verify("pw", None).await));
        drop(busy);
        assert!(hasher.hash("pw").await.is_ok());
    }

    #[tokio::test]
    async fn who_waited_too_long_is_refused_and_leaves_the_queue() {
        let hasher = Argon2Hasher::new(HasherSettings {
            queue: 1,
            max_wait: Duration::ZERO,
            ..settings()
        })
        .unwrap();
        let busy = hasher.turn().await.unwrap();
        assert!(refused(&hasher.hash("pw").await));
        assert_eq!(hasher.places.available_permits(), 1);
        drop(busy);
        assert!(hasher.hash("pw").await.is_ok());
        assert_eq!(hasher.places.available_permits(), 2);
    }

    #[tokio::test]
    async fn work_outlives_its_caller_and_keeps_its_slot() {
        let hasher = hasher();
        let (started, on_start) = std::sync::mpsc::channel();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let mut call = Box::pin(hasher.run(move || {
            started.send(()).unwrap();
            gate.recv().map_err(Error::internal)
        }));
        // polled once: the work is on its thread; then the caller goes away
        assert!(timeout(Duration::ZERO, &mut call).await.is_err());
        tokio::task::spawn_blocking(move || on_start.recv().unwrap())
            .await
            .unwrap();
        drop(call);
        assert_eq!(hasher.slots.available_permits(), 0);
        release.send(()).unwrap();
        assert!(hasher.hash("pw").await.is_ok());
    }

    #[tokio::test]
    async fn a_broken_stored_hash_is_a_fault_and_not_a_wrong_password() {
        let broken = PasswordHash("$2b$12$notargon".into());
        assert!(matches!(
            hasher().verify("pw", Some(&broken)).await,
            Err(Error::Internal { .. })
        ));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let none = HasherSettings {
            concurrency: 0,
            ..settings()
        };
        assert!(matches!(
            Argon2Hasher::new(none),
            Err(HasherError::Concurrency)
        ));
        let tiny = HasherSettings {
            params: Argon2Params {
                memory_kib: 1,
                ..CHEAP
            },
            ..settings()
        };
        assert!(matches!(
            Argon2Hasher::new(tiny),
            Err(HasherError::Params(_))
        ));
    }
}
