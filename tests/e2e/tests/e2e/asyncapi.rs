//! docs/asyncapi.yaml: it holds together, names what there is, and real frames are as it says.

mod dialects;
mod native;

use std::collections::BTreeSet;
use std::path::Path;

use connexus_e2e::SioSocket;
use serde_json::{Value, json};

pub type Names = BTreeSet<String>;

/// A file of the repository.
fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The document.
pub struct Document(Value);

impl Document {
    pub fn read() -> Self {
        Self(serde_saphyr::from_str(&file("docs/asyncapi.yaml")).expect("YAML"))
    }

    fn at(&self, reference: &Value) -> &Value {
        let reference = reference["$ref"].as_str().expect("a reference");
        let pointer = reference.strip_prefix('#').expect("one of this document");
        let found = self.0.pointer(pointer);
        found.unwrap_or_else(|| panic!("{reference} is not there"))
    }

    /// The messages of a channel that the server sends or receives: names and payloads.
    fn messages(&self, channel: &str, action: &str) -> Vec<(&str, &Value)> {
        let address = format!("#/channels/{channel}");
        let operations = self.0["operations"].as_object().unwrap().values();
        let fitting = operations.filter(|operation| {
            operation["action"] == action && operation["channel"]["$ref"] == address
        });
        fitting
            .flat_map(|operation| operation["messages"].as_array().unwrap())
            .map(|reference| self.at(reference))
            .map(|message| (message["name"].as_str().unwrap(), &message["payload"]))
            .collect()
    }

    /// The names of these messages, each once.
    pub fn names(&self, channel: &str, action: &str) -> Names {
        let messages = self.messages(channel, action);
        let names: Names = messages
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        assert_eq!(names.len(), messages.len(), "{channel}: one is there twice");
        names
    }

    fn schema(&self, payload: &Value) -> jsonschema::Validator {
        let schema = json!({"components": self.0["components"], "allOf": [payload]});
        jsonschema::draft7::new(&schema).unwrap_or_else(|error| panic!("{payload}: {error}"))
    }

    #[track_caller]
    fn check(&self, what: &str, payload: &Value, instance: &Value) {
        let wrong: Vec<String> = self
            .schema(payload)
            .iter_errors(instance)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{what} {instance}: {wrong:#?}");
    }

    /// Checks a message of a channel.
    #[track_caller]
    pub fn fits(&self, channel: &str, action: &str, name: &str, instance: &Value) {
        let messages = self.messages(channel, action);
        let message = messages.iter().find(|message| message.0 == name);
        let Some((_, payload)) = message else {
            panic!("{channel}: {name} is not there");
        };
        self.check(&format!("{channel}: {name}"), payload, instance);
    }

    /// Checks an answer to a native request.
    #[track_caller]
    pub fn answers(&self, operation: &str, answer: &Value) {
        let operation = &self.0["operations"][format!("native.{operation}")];
        let replies = operation["reply"]["messages"].as_array().unwrap();
        let reply = self.at(&replies[usize::from(answer["ok"] == false)]);
        self.check(reply["name"].as_str().unwrap(), &reply["payload"], answer);
    }
}

/// Looks at what goes over the sockets of one dialect, and remembers which events there were.
pub struct Listener {
    document: Document,
    dialect: &'static str,
    heard: Names,
    told: Names,
}

impl Listener {
    pub fn of(dialect: &'static str) -> Self {
        let document = Document::read();
        let (heard, told) = (Names::new(), Names::new());
        Self {
            document,
            dialect,
            heard,
            told,
        }
    }

    /// Sends an event that is as the document says.
    pub async fn emit(&mut self, socket: &mut SioSocket, name: &str, payload: Value) {
        self.document.fits(self.dialect, "receive", name, &payload);
        self.heard.insert(name.to_owned());
        socket.emit(name, payload).await;
    }

    /// Waits for an event, which must be as the document says.
    pub async fn expect(&mut self, socket: &mut SioSocket, name: &str) -> Value {
        let payload = socket.expect(name).await;
        self.document.fits(self.dialect, "send", name, &payload);
        self.told.insert(name.to_owned());
        payload
    }

    /// Every event of the document was there, but these.
    #[track_caller]
    pub fn has_seen_all_but(self, exceptions: &[&str]) {
        for (action, mut seen) in [("receive", self.heard), ("send", self.told)] {
            let all = self.document.names(self.dialect, action);
            let exceptions = exceptions.iter().filter(|name| all.contains(**name));
            seen.extend(exceptions.map(|name| (*name).to_owned()));
            assert_eq!(seen, all, "{} {action}", self.dialect);
        }
    }
}

/// Everything in a value that refers to something.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            if object.contains_key("$ref") {
                assert_eq!(object.len(), 1, "nothing may stand beside a $ref: {value}");
                found.push(value);
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_holds_together() {
    let document = Document::read();
    assert_eq!(document.0["asyncapi"], "3.0.0");
    for key in ["title", "version"] {
        assert!(document.0["info"][key].is_string(), "{key}");
    }
    let mut found = Vec::new();
    references(&document.0, &mut found);
    let mut used = BTreeSet::new();
    for reference in found {
        document.at(reference);
        used.insert(reference["$ref"].as_str().unwrap());
    }
    for name in document.0["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        let reference = format!("#/components/schemas/{name}");
        assert!(used.contains(reference.as_str()), "{name} is used nowhere");
    }
    for (name, channel) in document.0["channels"].as_object().unwrap() {
        assert!(channel["address"].as_str().unwrap().starts_with('/'));
        for (key, message) in channel["messages"].as_object().unwrap() {
            let reference = format!("#/channels/{name}/messages/{key}");
            assert!(
                used.contains(reference.as_str()),
                "{reference} is in no operation"
            );
            assert!(message["name"].is_string(), "{reference}");
            document.schema(&message["payload"]);
        }
    }
    for (id, operation) in document.0["operations"].as_object().unwrap() {
        let action = operation["action"].as_str().unwrap();
        assert!(matches!(action, "send" | "receive"), "{id}");
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        for message in operation["messages"].as_array().unwrap() {
            let message = message["$ref"].as_str().unwrap();
            let prefix = format!("{channel}/messages/");
            assert!(message.starts_with(&prefix), "{id}: {message}");
        }
    }
}

/// The texts in quotes that follow `before` in a piece of code.
fn quoted(code: &str, before: &str) -> Names {
    let pieces = code.split(before).skip(1);
    let texts = pieces.map(|piece| piece.split('"').next().unwrap().to_owned());
    texts.collect()
}

#[test]
fn the_native_names_are_those_of_the_code() {
    let document = Document::read();
    let requests = quoted(&file("adapters/ws/src/request.rs"), "#[serde(rename = \"");
    assert_eq!(document.names("native", "receive"), requests);
    let code = file("adapters/wire/src/events.rs");
    let names = code.split_once("fn event_name").unwrap().1;
    let names = names.split("\n}").next().unwrap();
    let mut events = quoted(names, "=> \"");
    // of the connection, not of what happens
    events.insert("resume".to_owned());
    assert_eq!(document.names("native", "send"), events);
    // and those of the text
    let text = file("docs/protocol.md");
    for name in requests.union(&events) {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}

/// The dialects' tables are held against the code beside the code.
#[test]
fn the_dialects_names_are_those_of_the_tables() {
    let document = Document::read();
    let text = file("docs/dialects.md");
    for dialect in ["connexus", "rooms", "mern", "direct", "secured"] {
        let chapter = text.split_once(&format!("\n## {dialect}\n")).unwrap().1;
        let chapter = chapter.split("\n## ").next().unwrap();
        for (title, action) in [("from clients", "receive"), ("to clients", "send")] {
            let table = chapter.split_once(&format!("| {title} |")).unwrap().1;
            let table = table.split("\n\n").next().unwrap();
            let names = quoted(table, "\n| `");
            let names: Names = names
                .iter()
                .map(|row| row.split('`').next().unwrap().to_owned())
                .collect();
            assert_eq!(document.names(dialect, action), names, "{dialect} {title}");
        }
    }
}
