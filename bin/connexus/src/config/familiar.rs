//! The environment names of the Node backends that Connexus replaces.

use std::collections::BTreeMap;

use super::ConfigError;

/// What those names say, in our keys.
#[derive(Default)]
pub struct Familiar {
    pub overrides: Vec<(&'static str, String)>,
    pub port: Option<u16>,
    /// What an operator who set a name should know.
    pub notes: Vec<String>,
}

pub fn read(environment: &BTreeMap<String, String>) -> Result<Familiar, ConfigError> {
    let get = |name: &str| {
        environment
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    };
    let mut found = Familiar::default();
    let mut put = |key, value: String| found.overrides.push((key, value));

    // the later of the two wins
    for name in ["MONGODB_URI", "DATABASE_URL"] {
        if let Some(url) = get(name) {
            put("storage.url", url.to_owned());
        }
    }
    if let Some(secret) = get("JWT_SECRET") {
        put("auth.jwt_secret", secret.to_owned());
    }
    for (name, key) in [
        ("JWT_EXPIRES_IN", "dialects.token_ttl_s"),
        ("JWT_REFRESH_EXPIRES_IN", "auth.refresh_ttl_s"),
    ] {
        if let Some(span) = get(name) {
            let seconds = seconds(span).ok_or_else(|| {
                ConfigError::new(name, span, "must be a time such as 7d, 12h, 15m")
            })?;
            put(key, seconds.to_string());
        }
    }
    if let Some(origins) = get("FRONTEND_URL") {
        put("cors.origins", origins.trim_end_matches('/').to_owned());
    }
    let window = get("RATE_LIMIT_WINDOW_MS");
    let requests = get("RATE_LIMIT_MAX_REQUESTS");
    if window.is_some() || requests.is_some() {
        // the customary numbers stand in for the one that is missing
        put("limits.window_ms", window.unwrap_or("900000").to_owned());
        put(
            "limits.window_requests",
            requests.unwrap_or("100").to_owned(),
        );
    }
    if let Some(level) = get("LOG_LEVEL") {
        let ours = match level.to_ascii_lowercase().as_str() {
            "http" | "verbose" => "info",
            "silly" => "trace",
            "silent" => "off",
            _ => level,
        };
        put("log.level", ours.to_owned());
    }
    if let Some(environment) = get("NODE_ENV") {
        put("environment", environment.to_owned());
    }
    if let Some(port) = get("PORT") {
        let number = port.parse().ok().filter(|number| *number > 0);
        found.port = Some(
            number
                .ok_or_else(|| ConfigError::new("PORT", port, "must be a port from 1 to 65535"))?,
        );
    }
    if get("JWT_REFRESH_SECRET").is_some() {
        found.notes.push(
            "JWT_REFRESH_SECRET is not needed: refresh tokens are random, not signed".to_owned(),
        );
    }
    if get("REDIS_URL").is_some() {
        found
            .notes
            .push("REDIS_URL is not used: this version runs as one node".to_owned());
    }
    Ok(found)
}

/// `7d`, `12h`, `15m`, `30s`, `500ms`, or bare seconds.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "second" | "seconds" => 1,
        "ms" => return Some(number.div_ceil(1_000)),
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hr" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        "y" | "year" | "years" => 31_557_600,
        _ => return None,
    };
    number.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time() {
        for (text, expected) in [
            ("7d", 604_800),
            ("15m", 900),
            ("3600", 3_600),
            ("1500ms", 2),
            ("2 hours", 7_200),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "d", "soon", "-1d", "99999999999999999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
