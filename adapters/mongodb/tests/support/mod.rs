//! A database of its own for each test, on the server that `CONNEXUS_TEST_MONGODB_URL` names.

use std::sync::Arc;

use connexus_mongodb::{MongoOptions, MongoStorage};
use mongodb::bson::oid::ObjectId;
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};

/// A database that goes when this is dropped.
pub struct Place {
    server: String,
    name: String,
}

impl Place {
    pub fn new() -> Self {
        Self {
            server: server(),
            name: format!("connexus_test_{}", ObjectId::new()),
        }
    }

    /// The address with this database in it.
    #[allow(dead_code, reason = "not every test opens it here")]
    pub fn url(&self) -> String {
        let (base, query) = match self.server.split_once('?') {
            Some((base, query)) => (base, format!("?{query}")),
            None => (self.server.as_str(), String::new()),
        };
        let start = base.find("://").map_or(0, |at| at + 3);
        let hosts = base[start..]
            .find('/')
            .map_or(base, |at| &base[..start + at]);
        format!("{hosts}/{}{query}", self.name)
    }

    #[allow(dead_code, reason = "who makes an address of its own needs it")]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[allow(dead_code, reason = "not every test opens it here")]
    pub async fn open(&self) -> Arc<MongoStorage> {
        self.open_with(MongoOptions {
            max_connections: 16,
            ..MongoOptions::default()
        })
        .await
    }

    #[allow(dead_code, reason = "not every test opens it here")]
    pub async fn open_with(&self, options: MongoOptions) -> Arc<MongoStorage> {
        let storage = MongoStorage::connect(&self.url(), options).await;
        Arc::new(storage.unwrap())
    }

    /// Past the adapter.
    #[allow(dead_code, reason = "the contract does not look past the adapter")]
    pub async fn outside(&self) -> Database {
        database(&self.server, &self.name).await
    }
}

async fn database(server: &str, name: &str) -> Database {
    let options = ClientOptions::parse(server).await.unwrap();
    Client::with_options(options).unwrap().database(name)
}

/// The server. Without one the test fails: a test that skips itself proves nothing.
pub fn server() -> String {
    std::env::var("CONNEXUS_TEST_MONGODB_URL").unwrap_or_else(|_| {
        panic!(
            "set CONNEXUS_TEST_MONGODB_URL to a replica set's address, such as mongodb://127.0.0.1:27017"
        )
    })
}

impl Drop for Place {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // a test's own runtime may be ending
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async { database(&server, &name).await.drop().await })
        });
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("the database {} stays: {error}", self.name);
        }
    }
}
