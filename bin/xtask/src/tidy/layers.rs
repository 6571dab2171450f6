//! Who may depend on whom: see "The hexagon" in the architecture notes.

use std::collections::HashMap;

use super::Violation;
use crate::workspace::{Dependency, Kind, Package, Workspace};

/// All that the domain needs: traits, texts, ids, and how a port hands over bytes without copying them (`bytes`
/// is a counted buffer, `futures-core` the trait of streams; neither does I/O). A list of what is allowed, since
/// what does I/O or knows a wire format cannot be listed.
const DOMAIN_MAY: [&str; 9] = [
    "async-trait",
    "bytes",
    "caseless",
    "emojis",
    "futures-core",
    "sha2",
    "thiserror",
    "unicode-normalization",
    "uuid",
];

/// The use-cases run on tokio, but know no database, no transport and no wire format.
const APPLICATION_MAY_NOT: [&str; 13] = [
    "axum",
    "bson",
    "hyper",
    "jsonwebtoken",
    "mongodb",
    "object_store",
    "postgres",
    "redis",
    "reqwest",
    "rusqlite",
    "serde_json",
    "sqlx",
    "tokio-postgres",
];

/// Where a package of ours stands, which its folder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Domain,
    Application,
    /// The vocabulary that the native gateways share, which every adapter may name.
    Wire,
    /// What the SQL databases' adapters share, which knows of entities alone.
    Sql,
    /// What connections are served by: it names none of ours.
    Transport,
    /// A protocol and nothing else: it names no more of ours than what it travels on, and an adapter may speak it.
    Protocol,
    Adapter,
    Binary,
    Tests,
}

impl Layer {
    fn of(manifest: &str) -> Option<Self> {
        match manifest.strip_suffix("/Cargo.toml")? {
            "domain" => Some(Self::Domain),
            "application" => Some(Self::Application),
            "adapters/wire" => Some(Self::Wire),
            "adapters/sql" => Some(Self::Sql),
            "adapters/upgrade" => Some(Self::Transport),
            "adapters/socketio" => Some(Self::Protocol),
            folder => match folder.split_once('/')?.0 {
                "adapters" => Some(Self::Adapter),
                "bin" => Some(Self::Binary),
                "tests" => Some(Self::Tests),
                _ => None,
            },
        }
    }

    /// Whether what is shipped of this layer may name that one.
    fn may_use(self, other: Self) -> bool {
        match self {
            Self::Domain | Self::Transport => false,
            Self::Protocol => other == Self::Transport,
            Self::Application | Self::Sql => other == Self::Domain,
            Self::Wire => matches!(other, Self::Domain | Self::Application),
            Self::Adapter => matches!(
                other,
                Self::Domain
                    | Self::Application
                    | Self::Wire
                    | Self::Sql
                    | Self::Protocol
                    | Self::Transport
            ),
            Self::Binary => !matches!(other, Self::Binary | Self::Tests),
            Self::Tests => matches!(other, Self::Domain | Self::Application | Self::Tests),
        }
    }

    /// Whether its tests may.
    fn tests_may_use(self, other: Self) -> bool {
        match self {
            Self::Domain | Self::Transport | Self::Protocol => self.may_use(other),
            _ => other != Self::Binary,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Domain => "the domain",
            Self::Application => "the application",
            Self::Wire => "the wire vocabulary",
            Self::Sql => "the SQL vocabulary",
            Self::Transport => "a transport",
            Self::Protocol => "a protocol",
            Self::Adapter => "an adapter",
            Self::Binary => "a binary",
            Self::Tests => "a test crate",
        }
    }
}

pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let layers: HashMap<&str, Option<Layer>> = workspace
        .packages
        .iter()
        .map(|package| (package.name.as_str(), layer(workspace, package)))
        .collect();
    let mut found = Vec::new();
    for package in &workspace.packages {
        let file = workspace.relative(&package.manifest_path);
        let Some(layer) = layer(workspace, package) else {
            let what = "belongs in domain, application, adapters, bin or tests";
            found.push(Violation::new(file, what));
            continue;
        };
        for dependency in &package.dependencies {
            let wrong = match layers.get(dependency.name.as_str()) {
                Some(Some(other)) => ours(layer, *other, dependency),
                // said of that package itself
                Some(None) => None,
                None => foreign(layer, dependency),
            };
            found.extend(wrong.map(|what| Violation::new(&file, what)));
        }
    }
    found
}

fn layer(workspace: &Workspace, package: &Package) -> Option<Layer> {
    Layer::of(&workspace.relative(&package.manifest_path))
}

/// What is wrong with depending on one of ours.
fn ours(layer: Layer, other: Layer, dependency: &Dependency) -> Option<String> {
    let name = &dependency.name;
    if dependency.kind == Some(Kind::Dev) {
        (!layer.tests_may_use(other)).then(|| {
            let (layer, other) = (layer.name(), other.name());
            format!("tests of {layer} must not depend on {other} ({name})")
        })
    } else {
        (!layer.may_use(other)).then(|| {
            let (layer, other) = (layer.name(), other.name());
            format!("{layer} must not depend on {other} ({name})")
        })
    }
}

/// What is wrong with depending on somebody else's; tests may do so as they need.
fn foreign(layer: Layer, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    let wrong = match layer {
        _ if dependency.kind == Some(Kind::Dev) => false,
        Layer::Domain => !DOMAIN_MAY.contains(&name),
        Layer::Application => APPLICATION_MAY_NOT.contains(&name) || name.starts_with("actix"),
        _ => false,
    };
    wrong.then(|| format!("{} must not depend on {name}", layer.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which the package of `folder` has one dependency beside those that are right.
    fn found(folder: &str, dependency: &str, kind: Option<Kind>) -> Vec<String> {
        let right = [
            ("domain", "connexus-domain", "uuid"),
            ("application", "connexus-application", "connexus-domain"),
            ("adapters/wire", "connexus-wire", "connexus-application"),
            ("adapters/http", "connexus-http", "connexus-wire"),
            ("adapters/sql", "connexus-sql", "connexus-domain"),
            ("adapters/sqlite", "connexus-sqlite", "sqlx"),
            ("adapters/upgrade", "connexus-upgrade", "actix-web"),
            ("adapters/socketio", "connexus-socketio", "connexus-upgrade"),
            ("adapters/dialects", "connexus-dialects", "connexus-wire"),
            ("bin/connexus", "connexus", "connexus-sqlite"),
            ("bin/xtask", "xtask", "clap"),
            ("tests/contract", "connexus-contract", "connexus-domain"),
            ("tests/e2e", "connexus-e2e", "reqwest"),
        ];
        let mut packages: Vec<Package> = right
            .iter()
            .map(|&(folder, name, right)| package(folder, name, right))
            .collect();
        let manifest = std::path::PathBuf::from(format!("/made-up/{folder}/Cargo.toml"));
        match packages.iter_mut().find(|p| p.manifest_path == manifest) {
            Some(package) => package.dependencies.push(Dependency {
                name: dependency.to_owned(),
                kind,
            }),
            None => packages.push(package(folder, "connexus-new", dependency)),
        }
        let workspace = Workspace {
            packages,
            target_directory: std::path::PathBuf::new(),
            root: "/made-up".into(),
        };
        check(&workspace).iter().map(ToString::to_string).collect()
    }

    fn package(folder: &str, name: &str, dependency: &str) -> Package {
        Package {
            name: name.to_owned(),
            manifest_path: format!("/made-up/{folder}/Cargo.toml").into(),
            dependencies: vec![Dependency {
                name: dependency.to_owned(),
                kind: None,
            }],
        }
    }

    #[test]
    fn what_is_right_passes() {
        for (folder, dependency, kind) in [
            ("domain", "sha2", None),
            ("domain", "proptest", Some(Kind::Dev)),
            ("application", "tokio", None),
            ("application", "connexus-sqlite", Some(Kind::Dev)),
            ("adapters/sqlite", "connexus-contract", Some(Kind::Dev)),
            ("adapters/sqlite", "connexus-domain", None),
            ("adapters/sqlite", "connexus-sql", None),
            ("adapters/http", "connexus-application", None),
            ("adapters/http", "actix-web", None),
            ("adapters/dialects", "connexus-socketio", None),
            ("adapters/socketio", "proptest", Some(Kind::Dev)),
            ("bin/connexus", "connexus-http", None),
        ] {
            assert_eq!(found(folder, dependency, kind), [""; 0], "{folder}");
        }
    }

    #[test]
    fn the_domain_stands_alone() {
        for (dependency, kind) in [
            ("tokio", None),
            ("serde", None),
            ("sqlx", Some(Kind::Build)),
        ] {
            assert_eq!(
                found("domain", dependency, kind),
                [format!(
                    "domain/Cargo.toml: the domain must not depend on {dependency}"
                )]
            );
        }
        assert_eq!(
            found("domain", "connexus-application", None),
            [
                "domain/Cargo.toml: the domain must not depend on the application (connexus-application)"
            ]
        );
        let tests = found("domain", "connexus-sqlite", Some(Kind::Dev));
        assert_eq!(
            tests,
            [
                "domain/Cargo.toml: tests of the domain must not depend on an adapter (connexus-sqlite)"
            ]
        );
    }

    #[test]
    fn the_application_knows_no_technology() {
        for dependency in ["sqlx", "mongodb", "redis", "serde_json", "actix-web"] {
            assert_eq!(
                found("application", dependency, None),
                [format!(
                    "application/Cargo.toml: the application must not depend on {dependency}"
                )]
            );
        }
        for dependency in ["connexus-sqlite", "connexus-wire", "connexus-contract"] {
            assert_eq!(found("application", dependency, None).len(), 1);
        }
    }

    #[test]
    fn no_adapter_knows_another() {
        assert_eq!(
            found("adapters/http", "connexus-sqlite", None),
            [
                "adapters/http/Cargo.toml: an adapter must not depend on an adapter (connexus-sqlite)"
            ]
        );
        assert_eq!(
            found("adapters/wire", "connexus-http", None),
            [
                "adapters/wire/Cargo.toml: the wire vocabulary must not depend on an adapter (connexus-http)"
            ]
        );
        assert_eq!(
            found("adapters/sql", "connexus-application", None),
            [
                "adapters/sql/Cargo.toml: the SQL vocabulary must not depend on the application (connexus-application)"
            ]
        );
        assert_eq!(
            found("adapters/sqlite", "connexus-contract", None),
            [
                "adapters/sqlite/Cargo.toml: an adapter must not depend on a test crate (connexus-contract)"
            ]
        );
        assert_eq!(found("adapters/http", "connexus", None).len(), 1);
        assert_eq!(found("adapters/http", "connexus", Some(Kind::Dev)).len(), 1);
    }

    #[test]
    fn a_protocol_knows_none_of_ours() {
        for (dependency, what) in [
            ("connexus-domain", "the domain"),
            ("connexus-application", "the application"),
            ("connexus-wire", "the wire vocabulary"),
            ("connexus-dialects", "an adapter"),
        ] {
            for (kind, who) in [
                (None, "a protocol"),
                (Some(Kind::Dev), "tests of a protocol"),
            ] {
                assert_eq!(
                    found("adapters/socketio", dependency, kind),
                    [format!(
                        "adapters/socketio/Cargo.toml: {who} must not depend on {what} ({dependency})"
                    )]
                );
            }
        }
        assert_eq!(
            found("adapters/socketio", "connexus-upgrade", None),
            [""; 0]
        );
        assert_eq!(
            found("adapters/upgrade", "connexus-socketio", None),
            [
                "adapters/upgrade/Cargo.toml: a transport must not depend on a protocol (connexus-socketio)"
            ]
        );
        for (folder, who) in [
            ("application", "the application"),
            ("adapters/wire", "the wire vocabulary"),
        ] {
            assert_eq!(
                found(folder, "connexus-socketio", None),
                [format!(
                    "{folder}/Cargo.toml: {who} must not depend on a protocol (connexus-socketio)"
                )]
            );
        }
        assert_eq!(
            found("adapters/dialects", "connexus-http", None),
            [
                "adapters/dialects/Cargo.toml: an adapter must not depend on an adapter (connexus-http)"
            ]
        );
    }

    #[test]
    fn the_contract_is_for_every_adapter() {
        assert_eq!(
            found("tests/contract", "connexus-sqlite", None),
            [
                "tests/contract/Cargo.toml: a test crate must not depend on an adapter (connexus-sqlite)"
            ]
        );
    }

    #[test]
    fn what_is_shipped_holds_no_test_crate() {
        assert_eq!(found("bin/connexus", "connexus-contract", None).len(), 1);
        assert_eq!(found("bin/connexus", "xtask", None).len(), 1);
    }

    #[test]
    fn every_package_has_a_layer() {
        assert_eq!(
            found("helpers/new", "uuid", None),
            ["helpers/new/Cargo.toml: belongs in domain, application, adapters, bin or tests"]
        );
    }
}
