//! `insert_one` of the same driver, acknowledged by a majority's journal.

use anyhow::Context as _;
use async_trait::async_trait;
use mongodb::bson::{Document, Uuid, doc};
use mongodb::options::{Acknowledgment, ClientOptions, CollectionOptions, WriteConcern};
use mongodb::{Client, Database};

use super::plain::{Plain, Span, repeat};

pub struct Documents {
    server: String,
    database: String,
    name: String,
}

impl Documents {
    pub async fn new(url: &str) -> anyhow::Result<Self> {
        let admin = Client::with_uri_str(url).await?.database("admin");
        let info = admin.run_command(doc! { "buildInfo": 1 }).await?;
        Ok(Self {
            server: url.to_owned(),
            database: format!("connexus_bench_{}", std::process::id()),
            name: format!("MongoDB {}", info.get_str("version")?),
        })
    }

    async fn open(&self, connections: usize) -> anyhow::Result<Database> {
        let mut options = ClientOptions::parse(&self.server).await?;
        options.max_pool_size = Some(u32::try_from(connections)?);
        Ok(Client::with_options(options)?.database(&self.database))
    }
}

#[async_trait]
impl Plain for Documents {
    fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> String {
        let (address, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (scheme, rest) = address.split_once("://").unwrap_or(("mongodb", address));
        let host = rest.split('/').next().unwrap_or(rest);
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{scheme}://{host}/{}{mark}{options}", self.database)
    }

    async fn clients(&self, in_flight: usize) -> anyhow::Result<usize> {
        Ok(in_flight)
    }

    async fn insert(&self, clients: usize, payload: usize, span: Span) -> anyhow::Result<f64> {
        // a connection for each, so that none waits for another's
        let database = self.open(clients).await?;
        let durable = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .build();
        let options = CollectionOptions::builder().write_concern(durable).build();
        let plain = database.collection_with_options::<Document>("plain", options);
        let body = "x".repeat(payload);
        let rate = repeat(clients, span, move || {
            let plain = plain.clone();
            let row = doc! {
                "_id": Uuid::new(),
                "conversation_id": Uuid::new(),
                "sender_id": Uuid::new(),
                "client_id": "a-key",
                "body": &body,
                "created_at": 1_i64,
            };
            async move {
                plain.insert_one(row).await.context("insert_one")?;
                Ok(())
            }
        })
        .await?;
        database.client().clone().shutdown().await;
        Ok(rate)
    }

    async fn remove(&self) -> anyhow::Result<()> {
        Ok(self.open(1).await?.drop().await?)
    }
}
