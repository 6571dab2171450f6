//! The database is not there yet when the server starts.

use connexus_e2e::{TestApp, eventually};

const QUICK: [(&str, &str); 2] = [
    ("CONNEXUS__STORAGE__ACQUIRE_TIMEOUT_MS", "500"),
    ("CONNEXUS__STORAGE__STATEMENT_TIMEOUT_MS", "2000"),
];

#[tokio::test]
async fn a_database_that_comes_up_late_is_waited_for() {
    let app = TestApp::without_storage(&QUICK).await;
    eventually("the server to say that it waits", async || {
        app.log().contains("waiting for it").then_some(())
    })
    .await;
    app.regain_storage().await;
    app.ready().await;
    let [ann, bob] = app.users(["ann", "bob"]).await;
    let conversation = ann.direct(&bob).await;
    assert_eq!(ann.say(&conversation, "at last").await["seq"], 1);
}

#[tokio::test]
async fn a_database_that_never_comes_ends_the_start_with_one_line() {
    let patience = ("CONNEXUS__STORAGE__CONNECT_TIMEOUT_MS", "1000");
    let app = TestApp::without_storage(&[QUICK[0], QUICK[1], patience]).await;
    let status = app.ended().await;
    assert_eq!(status.code(), Some(1), "{status}");
    let log = app.log();
    let last_words: Vec<&str> = log
        .lines()
        // what is logged meanwhile is JSON
        .filter(|line| !line.starts_with('{'))
        .collect();
    let [line] = last_words[..] else {
        panic!("not one line: {log}");
    };
    assert!(line.starts_with("connexus: storage.url: "), "{line}");
}
