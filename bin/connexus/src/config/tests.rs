use std::collections::BTreeMap;

use super::*;
use crate::backends;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn loaded(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(None, &environment(pairs)).map(|(config, _, _)| config)
}

fn refused(pairs: &[(&str, &str)]) -> String {
    loaded(pairs).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_allowed() {
    let config = loaded(&[]).unwrap();
    assert_eq!(config.server.bind, "127.0.0.1:5000");
    assert_eq!(config.storage.url, "sqlite:./data/connexus.db");
}

#[test]
fn an_existing_env_file_works() {
    let config = loaded(&[
        ("PORT", "3000"),
        ("JWT_SECRET", "0012"),
        ("JWT_EXPIRES_IN", "7d"),
        ("FRONTEND_URL", "http://localhost:3000/"),
        ("RATE_LIMIT_WINDOW_MS", "900000"),
        ("RATE_LIMIT_MAX_REQUESTS", "100"),
        ("LOG_LEVEL", "http"),
        ("NODE_ENV", "development"),
    ])
    .unwrap();
    assert_eq!(config.server.bind, "127.0.0.1:3000");
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&config.auth.jwt_secret),
        "0012"
    );
    assert_eq!(config.dialects.token_ttl_s, 604_800);
    assert_eq!(config.cors.origins, ["http://localhost:3000"]);
    assert_eq!(
        (config.limits.window_ms, config.limits.window_requests),
        (900_000, 100)
    );
    assert_eq!(config.log.level, "info");
}

#[test]
fn a_wrong_value_names_key_value_and_what_is_allowed() {
    for (name, value, parts) in [
        (
            "CONNEXUS__SERVER__WORKERS",
            "many",
            ["server.workers", "many", "whole number"],
        ),
        (
            "CONNEXUS__SERVER__WORKERS",
            "5000",
            ["server.workers", "5000", "0 to 1024"],
        ),
        (
            "CONNEXUS__SERVER__BIND",
            "nowhere",
            ["server.bind", "nowhere", "address and a port"],
        ),
        (
            "CONNEXUS__SERVER__TRUSTED_PROXIES",
            "here",
            ["server.trusted_proxies", "here", "networks"],
        ),
        (
            "CONNEXUS__CORS__ORIGINS",
            "localhost",
            ["cors.origins", "localhost", "origins such as"],
        ),
        (
            "CONNEXUS__STORAGE__URL",
            "oracle:x",
            ["storage.url", "oracle", "sqlite:"],
        ),
        (
            "CONNEXUS__NOSUCH__KEY",
            "1",
            ["nosuch.key", "", "no such key"],
        ),
        (
            "CONNEXUS__LIMITS__PROFILE",
            "lax",
            ["profile", "lax", "normal"],
        ),
        ("PORT", "70000", ["PORT", "70000", "65535"]),
        ("JWT_EXPIRES_IN", "soon", ["JWT_EXPIRES_IN", "soon", "7d"]),
    ] {
        let said = refused(&[(name, value)]);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn the_scheme_picks_a_backend_of_this_build() {
    for url in backends::SCHEMES {
        let url = format!("{url}://somewhere/chat");
        assert!(loaded(&[("DATABASE_URL", &url)]).is_ok(), "{url}");
    }
    if cfg!(feature = "mongodb") {
        assert!(backends::SCHEMES.contains(&"mongodb+srv"));
    }
    let said = refused(&[("DATABASE_URL", "mysql://u:hidden@h/chat")]);
    assert!(
        said.contains("storage.url") && !said.contains("hidden"),
        "{said}"
    );
}

#[test]
fn production_wants_a_real_secret_and_named_origins() {
    let good = "n0t-a-known-one-and-long-enough-for-hs256";
    let origins = ("CONNEXUS__CORS__ORIGINS", "https://chat.example.org");
    let production = ("NODE_ENV", "production");
    assert!(loaded(&[production, ("JWT_SECRET", good), origins]).is_ok());
    assert!(refused(&[production, origins]).contains("auth.jwt_secret"));
    assert!(refused(&[production, origins, ("JWT_SECRET", "short")]).contains("32"));
    assert!(refused(&[production, ("JWT_SECRET", good)]).contains("cors.origins"));
    let said = refused(&[
        production,
        origins,
        (
            "JWT_SECRET",
            "your_super_secret_jwt_key_change_in_production",
        ),
    ]);
    assert!(
        said.contains("auth.jwt_secret") && !said.contains("your_super"),
        "{said}"
    );
}

#[test]
fn a_file_with_a_slip_in_it_is_refused() {
    let dir = std::env::temp_dir().join(format!("connexus-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("c.toml");
    for (text, part) in [
        ("[server]\nbnd = \"x\"", "server.bnd"),
        ("[ws]\nmax_frame = \"big\"", "ws.max_frame"),
        ("[", "c.toml"),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = load(Some(&file), &BTreeMap::new())
            .err()
            .unwrap()
            .to_string();
        assert!(said.contains(part), "{said}");
    }
    std::fs::write(&file, "[ws]\nmax_frame = 2048").unwrap();
    let over = environment(&[("CONNEXUS__WS__MAX_FRAME", "4096")]);
    assert_eq!(
        load(Some(&file), &BTreeMap::new()).unwrap().0.ws.max_frame,
        2_048
    );
    assert_eq!(
        load(Some(&file), &over).unwrap().0.ws.max_frame,
        4_096,
        "the environment is above the file"
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
