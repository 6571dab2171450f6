//! Where the server is, and sockets to it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Url;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::protocol::{Heard, Protocol};

/// Connections that one address of ours can have to one port of the server's, with room to spare.
const PORTS: usize = 20_000;

/// What the kernel is asked for as a small receive buffer, in bytes; it has a least of its own.
const NARROW: u32 = 4_096;

/// A server's address.
#[derive(Debug, Clone)]
pub struct Place {
    url: Url,
    addresses: Vec<SocketAddr>,
}

impl Place {
    /// Refuses a server that is not on this machine, unless that is `allowed`.
    pub async fn find(url: &str, allowed: bool) -> anyhow::Result<Self> {
        let url: Url = url
            .parse()
            .with_context(|| format!("{url} is no address"))?;
        ensure!(
            matches!(url.scheme(), "http" | "https"),
            "{url}: http:// or https:// must come first"
        );
        let host = url.host_str().context("an address has a host")?;
        let port = url.port_or_known_default().context("a port")?;
        let host = host.trim_matches(['[', ']']);
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("looking up {host}"))?
            .collect();
        if !allowed && !addresses.iter().all(|address| address.ip().is_loopback()) {
            bail!(
                "{url} is not this machine: a load test can make a server unusable for others; --allow-remote says that you may"
            );
        }
        Ok(Self { url, addresses })
    }

    /// For REST, without a slash at the end.
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Opens the `nth` socket, and waits until the server has said that it knows whose it is.
    pub async fn open(
        &self,
        protocol: Protocol,
        token: &str,
        nth: usize,
    ) -> anyhow::Result<Socket> {
        self.open_as(protocol, token, nth, Width::Usual).await
    }

    /// The same with a receive buffer as small as can be, so that what is not read soon waits at the server.
    pub async fn open_narrow(
        &self,
        protocol: Protocol,
        token: &str,
        nth: usize,
    ) -> anyhow::Result<Socket> {
        self.open_as(protocol, token, nth, Width::Narrow).await
    }

    async fn open_as(
        &self,
        protocol: Protocol,
        token: &str,
        nth: usize,
        width: Width,
    ) -> anyhow::Result<Socket> {
        let url = format!(
            "{}{}",
            self.url().replacen("http", "ws", 1),
            protocol.path()
        );
        let mut request = url.into_client_request()?;
        if let Some(header) = protocol.authorization(token)? {
            request.headers_mut().insert("authorization", header);
        }
        let stream = self.dial(nth, width).await.context("connecting")?;
        stream.set_nodelay(true)?;
        // a buffer for each of many thousands: small
        let config = WebSocketConfig::default()
            .read_buffer_size(4_096)
            .write_buffer_size(4_096);
        let opened = client_async_tls_with_config(request, stream, Some(config), None).await;
        let (stream, _) = opened.context("opening a socket")?;
        let mut socket = Socket { stream, protocol };
        socket.send(protocol.hello(token)).await?;
        loop {
            let frame = socket.next().await?;
            match protocol.hear(&frame) {
                Heard::Welcome => return Ok(socket),
                Heard::Refused { .. } => bail!("the server refused a socket: {frame}"),
                _ => {}
            }
        }
    }

    /// All of 127.0.0.0/8 is this machine, and each of its addresses has ports of its own.
    async fn dial(&self, nth: usize, width: Width) -> anyhow::Result<TcpStream> {
        let further = u8::try_from(nth / PORTS).unwrap_or(u8::MAX);
        let address = *self.addresses.first().context("no address")?;
        let from = match address {
            SocketAddr::V4(to) if to.ip().is_loopback() && further > 0 => {
                Some(Ipv4Addr::new(127, 0, 1, further))
            }
            _ => None,
        };
        if from.is_none() && width == Width::Usual {
            return Ok(TcpStream::connect(&self.addresses[..]).await?);
        }
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if width == Width::Narrow {
            // before it connects, or the other side has been promised more
            socket.set_recv_buffer_size(NARROW)?;
        }
        if let Some(from) = from {
            socket.bind((IpAddr::V4(from), 0).into())?;
        }
        Ok(socket.connect(address).await?)
    }
}

/// How much may wait in this machine's kernel for a socket to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Usual,
    Narrow,
}

/// How a server ended a socket.
#[derive(Debug)]
pub enum Ending {
    /// With a close code.
    Code { code: u16, reason: String },
    /// Without, or the connection broke.
    Abrupt(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code, reason } => {
                write!(f, "the server closed the socket: {reason} ({code})")
            }
            Self::Abrupt(how) => write!(f, "the server closed the socket: {how}"),
        }
    }
}

impl std::error::Error for Ending {}

/// A socket of a user.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    protocol: Protocol,
}

impl Socket {
    /// The next text frame, or how the server ended it. Nothing is lost when it is given up.
    pub async fn next(&mut self) -> Result<Utf8Bytes, Ending> {
        loop {
            let abrupt = |how: &str| Ending::Abrupt(how.to_owned());
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(Ending::Code {
                        code: frame.code.into(),
                        reason: frame.reason.to_string(),
                    });
                }
                Some(Ok(Message::Close(None))) => return Err(abrupt("no code")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(abrupt(&error.to_string())),
                None => return Err(abrupt("no more")),
            }
        }
    }

    /// Queues a frame; [`flush`](Self::flush) sends it.
    pub async fn feed(&mut self, frame: String) -> anyhow::Result<()> {
        Ok(self.stream.feed(Message::text(frame)).await?)
    }

    pub async fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.flush().await?)
    }

    pub async fn send(&mut self, frame: String) -> anyhow::Result<()> {
        self.feed(frame).await?;
        self.flush().await
    }

    /// Listens and answers pings, until the server ends it: never well.
    pub async fn idle(&mut self) -> anyhow::Error {
        loop {
            match self.next().await {
                Ok(frame) if self.protocol.hear(&frame) == Heard::Ping => {
                    if let Err(error) = self.send(Protocol::PONG.to_owned()).await {
                        return error;
                    }
                }
                Ok(_) => {}
                Err(ending) => return ending.into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_machine_unless_allowed() {
        for own in [
            "http://127.0.0.1:5000/",
            "http://[::1]:1",
            "http://127.9.9.9",
        ] {
            assert!(Place::find(own, false).await.is_ok(), "{own}");
        }
        let found = Place::find("http://127.0.0.1:5000/", false).await.unwrap();
        assert_eq!(found.url(), "http://127.0.0.1:5000");
        assert!(Place::find("http://192.0.2.1:5000", false).await.is_err());
        assert!(Place::find("http://192.0.2.1:5000", true).await.is_ok());
        for bad in ["127.0.0.1:5000", "ftp://127.0.0.1", "nonsense"] {
            assert!(Place::find(bad, true).await.is_err(), "{bad}");
        }
    }
}
