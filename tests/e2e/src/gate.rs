//! A database that goes away and comes back: a gate on the way to a server, a lock on a file.

use std::net::SocketAddr;
use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// What stands between a server under test and its database.
pub(crate) enum Gate {
    /// Connections pass while it is open; when it closes, those that are there end, and no other begins.
    Way {
        port: u16,
        open: watch::Sender<bool>,
        keeper: JoinHandle<()>,
    },
    /// Somebody else writes to the file and does not end.
    Lock {
        file: PathBuf,
        held: Mutex<Option<SqliteConnection>>,
    },
}

impl Gate {
    /// An open gate before a server.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, state) = watch::channel(true);
        let keeper = tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                if *state.borrow() {
                    tokio::spawn(pass(inner, server, state.clone()));
                }
            }
        });
        Self::Way { port, open, keeper }
    }

    /// An unheld lock on a file.
    pub fn on(file: PathBuf) -> Self {
        let held = Mutex::new(None);
        Self::Lock { file, held }
    }

    /// Host and port on this side.
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Way { port, .. } => Some(format!("127.0.0.1:{port}")),
            Self::Lock { .. } => None,
        }
    }

    /// The database goes away.
    pub async fn close(&self) {
        match self {
            Self::Way { open, .. } => {
                open.send_replace(false);
            }
            Self::Lock { file, held } => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true);
                let mut connection = options.disable_statement_logging().connect().await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                *held.lock().await = Some(connection);
            }
        }
    }

    /// The database comes back.
    pub async fn open(&self) {
        match self {
            Self::Way { open, .. } => {
                open.send_replace(true);
            }
            Self::Lock { held, .. } => {
                if let Some(mut connection) = held.lock().await.take() {
                    connection.execute("ROLLBACK").await.unwrap();
                    connection.close().await.unwrap();
                }
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Self::Way { keeper, .. } = self {
            keeper.abort();
        }
    }
}

async fn pass(mut inner: TcpStream, server: SocketAddr, mut open: watch::Receiver<bool>) {
    let Ok(mut outer) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut inner, &mut outer) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
