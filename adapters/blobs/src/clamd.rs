//! ClamAV, asked over its daemon's socket (`clamd(8)`, command INSTREAM).

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use connexus_domain::ports::{Content, MalwareScanner, Verdict};
use connexus_domain::{Error, Result};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The longest answer that is read.
const ANSWER_MAX: u64 = 4096;

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClamdAddress {
    /// Host and port.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl ClamdAddress {
    /// From `tcp://HOST:PORT` or `unix:PATH`.
    pub fn parse(address: &str) -> Option<Self> {
        if let Some(host) = address.strip_prefix("tcp://") {
            let (name, port) = host.trim_end_matches('/').rsplit_once(':')?;
            let usable = !name.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
            return usable.then(|| Self::Tcp(format!("{name}:{port}")));
        }
        let path = address.strip_prefix("unix:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        (!path.is_empty()).then(|| Self::Unix(path.into()))
    }
}

/// How the daemon is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClamdSettings {
    /// Where it listens.
    pub address: ClamdAddress,
    /// How long it may take to accept a connection, to take a piece, and to go on with its answer.
    pub timeout: Duration,
    /// How many scans run at once; others wait. At most the daemon's `MaxThreads`.
    pub concurrency: usize,
    /// What it is asked to scan at most, in bytes: its `StreamMaxLength`, 25 MB as shipped. A larger file is
    /// refused, as one that it cannot call clean.
    pub max_size: u64,
}

impl ClamdSettings {
    /// With what the daemon is shipped with.
    pub fn new(address: ClamdAddress) -> Self {
        Self {
            address,
            timeout: Duration::from_secs(10),
            concurrency: 8,
            max_size: 25_000_000,
        }
    }
}

/// A scanner that asks a ClamAV daemon.
#[derive(Debug)]
pub struct Clamd {
    settings: ClamdSettings,
    turns: Semaphore,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("clamd does not answer in time")]
    Timeout,
    #[error("clamd has ended the connection")]
    Ended,
    #[error("clamd has answered: {0}")]
    Answer(String),
    #[error("the file has {size} bytes, and clamd is asked about {limit} at most")]
    TooLarge { size: u64, limit: u64 },
    #[cfg(not(unix))]
    #[error("there are no such sockets on this system")]
    NoSuchSockets,
}

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Clamd {
    /// Connects for each scan.
    pub fn new(settings: ClamdSettings) -> Self {
        let turns = settings.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            settings,
            turns: Semaphore::new(turns),
        }
    }

    async fn connect(&self) -> Result<Box<dyn Connection>> {
        match &self.settings.address {
            ClamdAddress::Tcp(address) => {
                let stream = self.in_time(TcpStream::connect(address)).await?;
                stream.set_nodelay(true).map_err(Error::unavailable)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            ClamdAddress::Unix(path) => {
                let stream = self.in_time(tokio::net::UnixStream::connect(path)).await?;
                Ok(Box::new(stream))
            }
            #[cfg(not(unix))]
            ClamdAddress::Unix(_) => Err(Error::internal(Fault::NoSuchSockets)),
        }
    }

    async fn in_time<T>(&self, step: impl Future<Output = io::Result<T>>) -> Result<T> {
        match timeout(self.settings.timeout, step).await {
            Ok(done) => done.map_err(Error::unavailable),
            Err(_elapsed) => Err(Error::unavailable(Fault::Timeout)),
        }
    }

    /// Sends the content; an error may mean that the daemon has said why it takes no more.
    async fn send(&self, connection: &mut dyn Connection, content: &dyn Content) -> Result<()> {
        self.in_time(connection.write_all(b"zINSTREAM\0")).await?;
        let mut pieces = content.open();
        while let Some(piece) = pieces.try_next().await? {
            // an empty piece would be the end
            let Some(length) = u32::try_from(piece.len()).ok().filter(|&length| length > 0) else {
                continue;
            };
            self.in_time(connection.write_all(&length.to_be_bytes()))
                .await?;
            self.in_time(connection.write_all(&piece)).await?;
        }
        self.in_time(connection.write_all(&[0; 4])).await?;
        self.in_time(connection.flush()).await
    }

    async fn answer(&self, connection: &mut dyn Connection) -> Result<String> {
        let mut answer = Vec::new();
        let mut connection = connection.take(ANSWER_MAX);
        loop {
            let count = self.in_time(connection.read_buf(&mut answer)).await?;
            if answer.ends_with(&[0]) {
                answer.pop();
                return Ok(String::from_utf8_lossy(&answer).into_owned());
            }
            // what is not ended by a zero may have been cut
            if count == 0 {
                return Err(Error::unavailable(Fault::Ended));
            }
        }
    }
}

#[async_trait]
impl MalwareScanner for Clamd {
    async fn scan(&self, content: &dyn Content) -> Result<Verdict> {
        let (size, limit) = (content.size(), self.settings.max_size);
        if size > limit {
            return Err(Error::internal(Fault::TooLarge { size, limit }));
        }
        let _turn = self.turns.acquire().await.map_err(Error::internal)?;
        let mut connection = self.connect().await?;
        let sent = self.send(&mut *connection, content).await;
        let answer = self.answer(&mut *connection).await;
        // one who takes no more says why, and then ends the connection: the answer tells more than that end
        match (sent, answer) {
            (Ok(()), Ok(answer)) => verdict(&answer),
            (Err(_), Ok(answer)) => Err(Error::internal(Fault::Answer(answer))),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    async fn ping(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        self.in_time(connection.write_all(b"zPING\0")).await?;
        match self.answer(&mut *connection).await?.as_str() {
            "PONG" => Ok(()),
            other => Err(Error::unavailable(Fault::Answer(other.to_owned()))),
        }
    }
}

/// `stream: OK`, `stream: NAME FOUND`, or a complaint, which is no verdict.
fn verdict(answer: &str) -> Result<Verdict> {
    match answer.strip_prefix("stream: ") {
        Some("OK") => Ok(Verdict::Clean),
        Some(found) if found.ends_with(" FOUND") => Ok(Verdict::Infected {
            signature: found.trim_end_matches(" FOUND").to_owned(),
        }),
        _ => Err(Error::internal(Fault::Answer(answer.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let parse = ClamdAddress::parse;
        assert_eq!(
            parse("tcp://127.0.0.1:3310"),
            Some(ClamdAddress::Tcp("127.0.0.1:3310".to_owned()))
        );
        assert_eq!(
            parse("unix:/run/clamd.sock"),
            Some(ClamdAddress::Unix("/run/clamd.sock".into()))
        );
        assert_eq!(
            parse("unix:///run/clamd.sock"),
            parse("unix:/run/clamd.sock")
        );
        for wrong in ["", "127.0.0.1:3310", "tcp://host", "tcp://:1", "unix:"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_ok_is_clean() {
        assert_eq!(verdict("stream: OK").unwrap(), Verdict::Clean);
        assert_eq!(
            verdict("stream: Eicar-Test FOUND").unwrap(),
            Verdict::Infected {
                signature: "Eicar-Test".to_owned()
            }
        );
        for complaint in [
            "INSTREAM size limit exceeded. ERROR",
            "",
            "OK",
            "stream: OK FOUND OK",
        ] {
            assert!(verdict(complaint).is_err(), "{complaint}");
        }
    }
}
