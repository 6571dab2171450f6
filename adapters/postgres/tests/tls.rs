//! TLS as the address asks for it, to a server whose certificate an authority of our own has signed.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

mod common;

use common::private::PrivateServer;
use connexus_domain::Error;
use connexus_domain::ports::Storage as _;
use connexus_postgres::{OpenError, PostgresOptions, PostgresStorage};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server at 127.0.0.1 whose certificate is for `host`.
async fn server(authority: &CertifiedIssuer<'static, KeyPair>, host: &str) -> PrivateServer {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let mut server = PrivateServer::prepare();
    let certificate = server.file("server.pem", &certificate.pem());
    let key = server.file("server.key", &key.serialize_pem());
    server.set("ssl=on");
    server.set(&format!("ssl_cert_file={}", certificate.display()));
    server.set(&format!("ssl_key_file={}", key.display()));
    server.launch().await;
    server
}

async fn connect(url: &str) -> Result<PostgresStorage, Error> {
    PostgresStorage::connect(url, PostgresOptions::default()).await
}

fn assert_refused(result: Result<PostgresStorage, Error>) {
    match result {
        Err(Error::Internal { source }) => {
            let error: &OpenError = source.downcast_ref().expect("an OpenError");
            assert!(matches!(error, OpenError::Tls { .. }), "{error:?}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was trusted"),
    }
}

#[tokio::test]
async fn the_server_is_who_the_address_says() {
    let ours = authority();
    let trusted = server(&ours, "127.0.0.1").await;
    let root = trusted.file("ca.pem", &ours.pem());
    let verify = |server: &PrivateServer, root: &std::path::Path| {
        let url = server.url("postgres");
        format!("{url}?sslmode=verify-full&sslrootcert={}", root.display())
    };
    let url = verify(&trusted, &root);
    let storage = connect(&url).await.unwrap();
    storage.migrate().await.unwrap();
    storage.ping().await.unwrap();
    storage.close().await;
    let mut outside = common::connect(&url).await;
    let encrypted: bool =
        sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .fetch_one(&mut outside)
            .await
            .unwrap();
    assert!(encrypted);

    let stranger = trusted.file("stranger.pem", &authority().pem());
    assert_refused(connect(&verify(&trusted, &stranger)).await);
    let elsewhere = server(&ours, "db.example.org").await;
    assert_refused(connect(&verify(&elsewhere, &root)).await);
}
