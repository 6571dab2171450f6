use std::collections::BTreeMap;
use std::path::Path;

use config::{FileFormat, Value, ValueKind};

use super::{Config, ConfigError, check, familiar};

/// The defaults, which also say which keys there are and of which type each is.
const DEFAULTS: &str = include_str!("../../../../config/default.toml");
const PREFIX: &str = "CONNEXUS__";

/// Reads all layers and checks the result. `environment` is what the process was given, with `.env`
/// below it. Answers the configuration and what the operator should know of it.
pub fn load(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<(Config, Effective, Vec<String>), ConfigError> {
    let defaults = flat(build(config::Config::builder().add_source(toml(DEFAULTS)))?.cache);
    let mut builder = config::Config::builder().add_source(toml(DEFAULTS));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new("--config", &path.display().to_string(), &error.to_string())
        })?;
        let layer = build(config::Config::builder().add_source(toml(&text)))
            .map_err(|error| ConfigError(format!("{}: {}", path.display(), error.0)))?;
        for (key, value) in flat(layer.cache) {
            builder = set(builder, &defaults, &key, Given::Typed(value))?;
        }
    }
    let familiar = familiar::read(environment)?;
    for (name, text) in environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
    {
        let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        builder = set(builder, &defaults, &key, Given::Text(text))?;
    }
    for (key, text) in &familiar.overrides {
        builder = set(builder, &defaults, key, Given::Text(text))?;
    }
    let merged = build(builder)?;
    let effective = flat(merged.cache.clone());
    let mut config: Config = merged
        .try_deserialize()
        .map_err(|error| ConfigError(error.to_string()))?;
    if let Some(port) = familiar.port {
        config.server.bind = with_port(&config.server.bind, port);
    }
    check::check(&config)?;
    Ok((config, effective, familiar.notes))
}

/// Every key with its value, in order.
pub type Effective = BTreeMap<String, Value>;

enum Given<'a> {
    Typed(Value),
    Text(&'a str),
}

type Builder = config::ConfigBuilder<config::builder::DefaultState>;

fn toml(text: &str) -> config::File<config::FileSourceString, FileFormat> {
    config::File::from_str(text, FileFormat::Toml)
}

fn build(builder: Builder) -> Result<config::Config, ConfigError> {
    builder
        .build()
        .map_err(|error| ConfigError(error.to_string()))
}

/// Sets one key to a value of the type that its default has.
fn set(
    builder: Builder,
    defaults: &Effective,
    key: &str,
    given: Given,
) -> Result<Builder, ConfigError> {
    let Some(default) = defaults.get(key) else {
        return Err(ConfigError::new(
            key,
            "",
            "there is no such key; `connexus config` shows all there are",
        ));
    };
    let value = match given {
        Given::Text(text) => typed(key, text, default)?,
        Given::Typed(value) => same_type(key, value, default)?,
    };
    one_of(key, &value)?;
    builder
        .set_override(key, value)
        .map_err(|error| ConfigError(format!("{key}: {error}")))
}

/// Keys whose values are words of a short list.
const CHOICES: [(&str, &[&str]); 3] = [
    ("environment", &["development", "test", "production"]),
    ("limits.profile", &["off", "normal", "strict"]),
    ("log.format", &["auto", "pretty", "json"]),
];

fn one_of(key: &str, value: &Value) -> Result<(), ConfigError> {
    let Some((_, words)) = CHOICES.iter().find(|(of, _)| *of == key) else {
        return Ok(());
    };
    let given = value.to_string();
    if words.contains(&given.as_str()) {
        return Ok(());
    }
    Err(ConfigError::new(
        key,
        &given,
        &format!("must be one of {}", words.join(", ")),
    ))
}

/// Text from the environment, by the type of the default: a secret of digits stays a text.
fn typed(key: &str, text: &str, default: &Value) -> Result<Value, ConfigError> {
    let kind = match &default.kind {
        ValueKind::Boolean(_) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => ValueKind::Boolean(true),
            "false" | "0" | "no" | "off" => ValueKind::Boolean(false),
            _ => return Err(ConfigError::new(key, text, "must be true or false")),
        },
        ValueKind::I64(_) => match text.trim().parse() {
            Ok(number) => ValueKind::I64(number),
            Err(_) => return Err(ConfigError::new(key, text, "must be a whole number")),
        },
        ValueKind::Array(_) => ValueKind::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect(),
        ),
        _ => ValueKind::String(text.to_owned()),
    };
    Ok(Value::new(None, kind))
}

fn same_type(key: &str, value: Value, default: &Value) -> Result<Value, ConfigError> {
    let expected = match (&default.kind, &value.kind) {
        (ValueKind::Boolean(_), ValueKind::Boolean(_))
        | (ValueKind::I64(_), ValueKind::I64(_))
        | (ValueKind::String(_), ValueKind::String(_))
        | (ValueKind::Array(_), ValueKind::Array(_)) => return Ok(value),
        (ValueKind::Boolean(_), _) => "must be true or false",
        (ValueKind::I64(_), _) => "must be a whole number",
        (ValueKind::Array(_), _) => "must be a list of texts",
        _ => "must be a text",
    };
    Err(ConfigError::new(key, &value.to_string(), expected))
}

/// Tables taken apart to `section.key`.
fn flat(value: Value) -> Effective {
    fn walk(prefix: &str, value: Value, into: &mut Effective) {
        if let ValueKind::Table(table) = value.kind {
            for (key, value) in table {
                let key = if prefix.is_empty() {
                    key
                } else {
                    format!("{prefix}.{key}")
                };
                walk(&key, value, into);
            }
        } else {
            into.insert(prefix.to_owned(), value);
        }
    }
    let mut all = Effective::new();
    walk("", value, &mut all);
    all
}

fn with_port(bind: &str, port: u16) -> String {
    let host = bind.rsplit_once(':').map_or(bind, |(host, _)| host);
    format!("{host}:{port}")
}
