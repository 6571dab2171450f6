//! The documentation names what there is, and every row of it has a black-box test that names it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::dialect::Dialect;

type Names = BTreeSet<String>;

/// The tables of one dialect in the documentation.
struct Documented {
    routes: Names,
    heard: Names,
    told: Names,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Documented {
    fn of(dialect: Dialect) -> Self {
        let text = std::fs::read_to_string(root().join("docs/dialects.md")).unwrap();
        let heading = format!("\n## {dialect}\n");
        let section = text.split_once(&heading).unwrap_or_else(|| {
            panic!("docs/dialects.md has no chapter {dialect}");
        });
        let chapter = section.1.split("\n## ").next().unwrap();
        Self {
            routes: rows(chapter, "route")
                .iter()
                .map(|row| shape(row))
                .collect(),
            heard: rows(chapter, "from clients"),
            told: rows(chapter, "to clients"),
        }
    }
}

/// The first cells of the table whose first column has this title.
fn rows(chapter: &str, title: &str) -> Names {
    let start = format!("| {title} |");
    let mut lines = chapter.lines().skip_while(|line| !line.starts_with(&start));
    assert!(lines.next().is_some(), "no table of {title}");
    let mut names = Names::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let name = line.split('`').nth(1).unwrap_or_else(|| panic!("{line}"));
        assert!(names.insert(name.to_owned()), "{name} is there twice");
    }
    names
}

/// A route with its variable parts unnamed: they have other names in the code.
fn shape(route: &str) -> String {
    let (method, path) = route.split_once(' ').unwrap_or_default();
    let parts = path.split('/').map(|part| {
        if part.starts_with([':', '{']) {
            ":"
        } else {
            part
        }
    });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

/// The Rust of a folder or of a file, and of the folder of the file's name.
fn sources(place: &Path) -> String {
    let mut text = String::new();
    let mut places = vec![place.with_extension("rs"), place.to_owned()];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            let inside = std::fs::read_dir(place).unwrap();
            places.extend(inside.map(|entry| entry.unwrap().path()));
        } else if place.extension().is_some_and(|ext| ext == "rs") {
            text += &std::fs::read_to_string(place).unwrap_or_default();
        }
    }
    text
}

fn source(dialect: Dialect) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let text = sources(&folder.join(dialect.as_str()));
    let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn tests_of(dialect: Dialect) -> String {
    sources(
        &root()
            .join("tests/e2e/tests/e2e/dialects")
            .join(dialect.as_str()),
    )
}

/// A piece of Rust up to where it ends: at `end` outside all brackets, or at the bracket that closes it; and
/// the literals in it with how deep they stand and what follows them.
fn literals(text: &str, end: char) -> Vec<(usize, &str, &str)> {
    let (mut found, mut depth, mut chars) = (Vec::new(), 0_usize, text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let mut escaped = false;
                let close = chars.find(|(_, c)| {
                    let closes = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    closes
                });
                let Some((close, _)) = close else { break };
                found.push((depth, &text[at + 1..close], text[close + 1..].trim_start()));
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            c if c == end && depth == 0 => break,
            _ => {}
        }
    }
    found
}

/// What comes after each place where this stands.
fn after<'a>(code: &'a str, what: &'a str) -> impl Iterator<Item = &'a str> {
    let places = code.match_indices(what);
    places.map(move |(at, _)| &code[at + what.len()..])
}

/// The names of events that a dialect's code sends: what stands for a name where an event is made, or where
/// `name` gets its value.
fn told_in(code: &str) -> Names {
    let calls = [
        "Told::all(",
        "Told::to(",
        "packet(",
        "Packet::event(",
        ".emit(",
        "relay(",
    ];
    let named = calls.iter().flat_map(|call| {
        after(code, call).filter_map(|arguments| {
            let mut here = literals(arguments, ')').into_iter();
            // the namespace is no name
            here.find(|(depth, text, _)| *depth == 0 && *text != "/")
        })
    });
    let chosen = ["let name ", "let (name, "].iter().flat_map(|start| {
        let values = after(code, start).map(|value| value.split_once("= ").map_or(value, |v| v.1));
        let values = values.flat_map(|value| literals(value, ';'));
        // no key of a payload
        values.filter(|(_, _, next)| !next.starts_with(':'))
    });
    named
        .chain(chosen)
        .map(|(_, text, _)| text.to_owned())
        .collect()
}

/// The names of events that a dialect's code listens to: what `name` is compared with, or matched by.
fn heard_in(code: &str) -> Names {
    let compared = ["name == ", "name != "].iter().flat_map(|start| {
        let literals = after(code, start).filter_map(|rest| literals(rest, ' ').into_iter().next());
        literals.map(|(_, text, _)| text)
    });
    let events = |text: &&str| {
        text.chars()
            .all(|c| c.is_ascii_lowercase() || " _-".contains(c))
    };
    let matched = ["match name {", "match name.as_str() {"]
        .iter()
        .flat_map(|start| {
            let literals = after(code, start).flat_map(|arms| literals(arms, '}'));
            let arms = literals.filter(|(depth, _, next)| {
                *depth == 0 && (next.starts_with("=>") || next.starts_with('|'))
            });
            arms.map(|(_, text, _)| text)
        });
    compared
        .chain(matched)
        .filter(events)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tables_of_routes_are_the_routes() {
    for dialect in Dialect::ALL {
        let routes = crate::voice(dialect).routes();
        let routes = routes
            .iter()
            .map(|route| shape(&format!("{} {}", route.method, route.pattern)));
        assert_eq!(
            Documented::of(dialect).routes,
            routes.collect(),
            "{dialect}"
        );
    }
}

#[test]
fn the_tables_of_events_are_the_events() {
    for dialect in Dialect::ALL {
        let (documented, code) = (Documented::of(dialect), source(dialect));
        assert_eq!(documented.told, told_in(&code), "told in {dialect}");
        assert_eq!(documented.heard, heard_in(&code), "heard in {dialect}");
    }
}

#[test]
fn what_is_a_dialects_own_is_in_its_tables() {
    for dialect in Dialect::ALL {
        let (mine, voice) = (Documented::of(dialect), crate::voice(dialect));
        for name in Dialect::ALL
            .into_iter()
            .flat_map(|d| Documented::of(d).heard)
        {
            let heard = mine.heard.contains(&name);
            assert!(heard || !voice.owns_event(&name), "{dialect}: {name}");
        }
    }
}

/// Every route and event that a test names in full, in its comments or its calls.
#[test]
fn every_row_has_a_test() {
    let mut missing = Vec::new();
    for dialect in Dialect::ALL {
        let (documented, tests) = (Documented::of(dialect), tests_of(dialect));
        let methods = ["GET ", "POST ", "PUT ", "DELETE "];
        let named: Names = methods
            .iter()
            .flat_map(|method| {
                after(&tests, method).map(move |path| {
                    let path = path.trim_start_matches('"');
                    let ends = |c: char| c.is_whitespace() || "?,;\"`)".contains(c);
                    shape(&format!("{method}{}", path.split(ends).next().unwrap()))
                })
            })
            .collect();
        let routes = documented.routes.difference(&named).cloned();
        missing.extend(routes.map(|route| format!("{dialect}: {route}")));
        let events = documented.heard.union(&documented.told);
        let events = events.filter(|name| !tests.contains(&format!("\"{name}\"")));
        missing.extend(events.map(|event| format!("{dialect}: {event}")));
    }
    assert!(missing.is_empty(), "rows without a test: {missing:#?}");
}
