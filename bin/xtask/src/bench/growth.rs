//! `cargo xtask bench growth`: how cost grows, as plots, raw figures and a table.
//!
//! Idle connections are measured up to 50,000. One address of this machine has about 28,000 ports for them, so
//! the load client goes on from further addresses of 127.0.0.0/8, which exist on Linux without being set up.
//! Where that is more than a process may have open files, several servers share them, each with a client of its own.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

mod several;

use super::plot::{Line, Panel, draw};
use super::{Backend, Load};
use crate::services::Service;
use crate::workspace::Workspace;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the server stores in, on a disk that it waits for
    #[arg(long, value_enum, default_value = "sqlite")]
    backend: Backend,
    /// Tiny sizes for two seconds each: whether it works at all. Goes to target/figures when no folder is given
    #[arg(long)]
    quick: bool,
    /// Which series; what others have measured before stays
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "members,rooms,connections,stored"
    )]
    only: Vec<Series>,
    /// Store 10 million messages in the end, which takes its time
    #[arg(long)]
    ten_million: bool,
    /// Where plots and figures go; docs/figures when left out
    #[arg(long, value_name = "FOLDER")]
    figures: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Series {
    /// Deliveries/s in one room, and latencies at 25 messages/s
    Members,
    /// Deliveries/s in rooms of 10, and latencies at 200 messages/s
    Rooms,
    /// Resident memory with idle connections
    Connections,
    /// Pages of the history and of the conversation list
    Stored,
}

/// How large, and how long.
struct Sizes {
    members: &'static [u64],
    rooms: &'static [u64],
    connections: &'static [u64],
    stored: Vec<u64>,
    /// Conversations that have the stored messages.
    conversations: u64,
    warm_up: &'static str,
    duration: &'static str,
}

impl Sizes {
    fn of(args: &Args) -> Self {
        if args.quick {
            return Self {
                members: &[10, 50],
                rooms: &[2, 5],
                connections: &[100, 200],
                stored: vec![1_000, 3_000],
                conversations: 60,
                warm_up: "0.5",
                duration: "2",
            };
        }
        let mut stored = vec![10_000, 100_000, 1_000_000];
        stored.extend(args.ten_million.then_some(10_000_000));
        Self {
            members: &[10, 100, 1_000, 10_000],
            rooms: &[10, 100, 1_000],
            connections: &[1_000, 5_000, 10_000, 20_000, 50_000],
            stored,
            conversations: 1_000,
            warm_up: "2",
            duration: "10",
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let folder = match &args.figures {
        Some(folder) => folder.clone(),
        None if args.quick => workspace.target_directory.join("figures"),
        None => workspace.root.join("docs/figures"),
    };
    std::fs::create_dir_all(&folder).with_context(|| folder.to_string_lossy().into_owned())?;
    let services: Vec<Service> = args.backend.service().into_iter().collect();
    let growth = Growth {
        load: Load::begin(&workspace, &services)?,
        backend: args.backend,
        sizes: Sizes::of(args),
        most: most_connections(),
        raw: tempfile::tempdir()?,
    };
    let mut tables = Vec::new();
    for &series in &args.only {
        let measured = growth.measure(series)?;
        // after each, so that a later failure costs nothing that is there
        keep(&folder.join("growth.json"), series, measured.raw)?;
        let plot = folder.join(format!("{}.svg", series.name()));
        draw(&plot, &measured.panels)?;
        tables.push(table(&measured.panels));
    }
    for table in tables {
        println!("\n{table}");
    }
    println!("Plots and figures are in {}", folder.display());
    Ok(())
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Rooms => "rooms",
            Self::Connections => "connections",
            Self::Stored => "stored",
        }
    }
}

struct Growth<'a> {
    load: Load<'a>,
    backend: Backend,
    sizes: Sizes,
    /// Connections that the limit of open files allows.
    most: u64,
    /// What the load client writes.
    raw: tempfile::TempDir,
}

struct Measured {
    panels: Vec<Panel>,
    /// As the load client has written them.
    raw: Vec<Value>,
}

impl Growth<'_> {
    fn measure(&self, series: Series) -> Result<Measured> {
        match series {
            Series::Members => self.members(),
            Series::Rooms => self.rooms(),
            Series::Connections => self.connections(),
            Series::Stored => self.stored(),
        }
    }

    fn members(&self) -> Result<Measured> {
        let sizes = listed(&self.fitting(self.sizes.members, 1)?);
        let room = ["--members", &sizes, "--senders", "4"];
        let full = self.talk("fanout", &[&room[..], &["--in-flight", "4"]].concat())?;
        let calm = self.talk("fanout", &[&room[..], &["--rate", "25"]].concat())?;
        let panels = [
            panel("deliveries/s, 4 senders with 4 in flight each", "members"),
            panel("ms until received, at 25 messages/s", "members"),
        ];
        full_and_calm(panels, "/members", full, calm)
    }

    fn rooms(&self) -> Result<Measured> {
        let (mut full, mut calm) = (Vec::new(), Vec::new());
        for rooms in self.fitting(self.sizes.rooms, 10)? {
            let rooms = rooms.to_string();
            let rooms = ["--rooms", &rooms, "--members", "10"];
            full.push(self.talk("chat", &rooms)?);
            calm.push(self.talk("chat", &[&rooms[..], &["--rate", "200"]].concat())?);
        }
        let (full, calm) = (joined(full), joined(calm));
        let panels = [
            panel("deliveries/s with typing and read marks", "rooms of 10"),
            panel("ms until received, at 200 messages/s", "rooms of 10"),
        ];
        full_and_calm(panels, "/rooms", full, calm)
    }

    fn connections(&self) -> Result<Measured> {
        let mut all = Vec::new();
        for &connections in self.sizes.connections {
            let shares = several::shares(connections, self.most)?;
            let held: Vec<Value> = std::thread::scope(|scope| {
                let hold = |(nth, share)| scope.spawn(move || self.hold(nth, share));
                let clients: Vec<_> = shares.into_iter().enumerate().map(hold).collect();
                clients
                    .into_iter()
                    .map(|client| client.join().unwrap_or_else(|panic| resume_unwind(panic)))
                    .collect::<Result<_>>()
            })?;
            all.push(several::together(held)?);
        }
        let all = joined(all);
        let across = |row: &Value| figure(row, "/connections");
        Ok(Measured {
            panels: vec![
                panel("server's resident memory, KiB", "idle connections").line(
                    "KiB",
                    &all,
                    across,
                    "/server_resident_kib/held",
                )?,
                panel("KiB for each connection", "idle connections").line(
                    "KiB each",
                    &all,
                    across,
                    "/server_kib_per_connection",
                )?,
            ],
            raw: vec![all],
        })
    }

    /// So many idle connections to a server of their own.
    fn hold(&self, nth: usize, connections: u64) -> Result<Value> {
        let count = connections.to_string();
        let options = ["--connections", &count, "--hold", self.sizes.duration];
        self.client_of_several(nth, "connect", &options)
    }

    fn stored(&self) -> Result<Measured> {
        let (stored, rooms) = (
            listed(&self.sizes.stored),
            self.sizes.conversations.to_string(),
        );
        let options = ["--connections", "1", "--mix", "history,list"];
        let sizes = ["--rooms", &rooms, "--stored", &stored];
        let all = self.talk("rest", &[options, sizes].concat())?;
        let across = |row: &Value| figure(row, "/stored");
        let of = |title: &str, mix: &str| {
            let rows = all["results"].as_array().into_iter().flatten();
            let rows: Vec<&Value> = rows.filter(|row| row["mix"] == mix).collect();
            let rows = json!({ "results": rows });
            panel(title, "stored messages")
                .line("p50", &rows, across, "/latency_ms/p50")?
                .line("p99", &rows, across, "/latency_ms/p99")
        };
        Ok(Measured {
            panels: vec![
                of("ms for a page of the history", "history")?,
                of("ms for a page of the conversation list", "list")?,
            ],
            raw: vec![all],
        })
    }

    /// A workload that takes its time.
    fn talk(&self, name: &str, options: &[&str]) -> Result<Value> {
        let sizes = &self.sizes;
        let time = ["--warm-up", sizes.warm_up, "--duration", sizes.duration];
        self.client(name, &[options, &time].concat())
    }

    /// What the load client has written.
    fn client(&self, name: &str, options: &[&str]) -> Result<Value> {
        self.client_of_several(0, name, options)
    }

    fn client_of_several(&self, nth: usize, name: &str, options: &[&str]) -> Result<Value> {
        let path = self.raw.path().join(format!("figures-{nth}.json"));
        let mut client: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        client.push("--json".to_owned());
        client.push(path.to_string_lossy().into_owned());
        println!("\n{name} {}", options.join(" "));
        let backend = ["--backend", self.backend.name()];
        self.load.measure(name, &backend, &client)?;
        read(&path)
    }

    /// Those of `sizes` that open no more connections than there may be, each of which has so many of them; in
    /// place of larger ones as many thousands as there may be.
    fn fitting(&self, sizes: &[u64], each: u64) -> Result<Vec<u64>> {
        let (mut fit, rest): (Vec<u64>, Vec<u64>) = sizes
            .iter()
            .copied()
            .partition(|size| *size * each <= self.most);
        if !rest.is_empty() {
            eprintln!(
                "left out for the limit of open files (`ulimit -n`): {}",
                listed(&rest)
            );
            let most = self.most / each / 1_000 * 1_000;
            if fit.last().is_some_and(|last| *last < most) {
                fit.push(most);
            }
        }
        ensure!(!fit.is_empty(), "the limit of open files is too low");
        Ok(fit)
    }
}

/// How much is delivered when all send as fast as they can, and how soon when they take their time.
fn full_and_calm(panels: [Panel; 2], size: &str, full: Value, calm: Value) -> Result<Measured> {
    let across = |row: &Value| figure(row, size);
    let [rate, latency] = panels;
    let rate = rate.line("deliveries/s", &full, across, "/deliveries_per_s")?;
    let latency = latency
        .line("p50", &calm, across, "/delivered_ms/p50")?
        .line("p99", &calm, across, "/delivered_ms/p99")?;
    Ok(Measured {
        panels: vec![rate, latency],
        raw: vec![full, calm],
    })
}

/// What the limit of open files allows: one for each connection, here and there.
fn most_connections() -> u64 {
    const OTHERS: u64 = 500;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    open_files(&limits).map_or(u64::MAX, |files| files.saturating_sub(OTHERS))
}

/// The soft limit; `None` when there is none, or it is not told.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn panel(title: &str, across: &str) -> Panel {
    Panel {
        title: title.to_owned(),
        across: across.to_owned(),
        lines: Vec::new(),
    }
}

impl Panel {
    /// With a figure of each of the results.
    fn line(
        mut self,
        name: &str,
        measured: &Value,
        across: impl Fn(&Value) -> Result<f64>,
        up: &str,
    ) -> Result<Self> {
        let results = measured["results"].as_array().context("results")?;
        let points = results
            .iter()
            .map(|row| Ok((across(row)?, figure(row, up)?)))
            .collect::<Result<_>>()?;
        self.lines.push(Line {
            name: name.to_owned(),
            points,
        });
        Ok(self)
    }
}

fn figure(row: &Value, pointer: &str) -> Result<f64> {
    let found = row.pointer(pointer).and_then(Value::as_f64);
    found.with_context(|| format!("no {pointer} in {row}"))
}

fn listed(sizes: &[u64]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    sizes.join(",")
}

/// Several runs of a workload as one.
fn joined(runs: Vec<Value>) -> Value {
    let mut runs = runs.into_iter();
    let Some(mut first) = runs.next() else {
        return Value::Null;
    };
    for mut run in runs {
        if let (Some(all), Some(more)) = (
            first["results"].as_array_mut(),
            run["results"].as_array_mut(),
        ) {
            all.append(more);
        }
    }
    first
}

fn read(path: &Path) -> Result<Value> {
    let named = || path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).with_context(named)?;
    serde_json::from_str(&text).with_context(named)
}

/// Writes the raw figures of a series into the file that has those of all.
fn keep(path: &Path, series: Series, raw: Vec<Value>) -> Result<()> {
    let mut all = if path.exists() {
        read(path)?
    } else {
        Value::Object(Map::new())
    };
    let all = all.as_object_mut().context("growth.json is no object")?;
    all.insert(series.name().to_owned(), Value::Array(raw));
    let text = serde_json::to_string_pretty(all)? + "\n";
    std::fs::write(path, text).with_context(|| path.to_string_lossy().into_owned())
}

/// A row for each size, in Markdown.
fn table(panels: &[Panel]) -> String {
    let mut head = Vec::new();
    let mut rows: Vec<(f64, Vec<Option<f64>>)> = Vec::new();
    let columns = panels.iter().flat_map(|panel| {
        let lines = panel.lines.iter();
        lines.map(move |line| (panel, line))
    });
    for (nth, (panel, line)) in columns.enumerate() {
        head.push(if panel.lines.len() > 1 {
            format!("{}: {}", panel.title, line.name)
        } else {
            panel.title.clone()
        });
        for (across, up) in &line.points {
            let at = rows.iter().position(|row| row.0.total_cmp(across).is_eq());
            let at = at.unwrap_or_else(|| {
                rows.push((*across, Vec::new()));
                rows.len() - 1
            });
            let row = &mut rows[at].1;
            row.resize(nth, None);
            row.push(Some(*up));
        }
    }
    let across = panels.first().map_or("", |panel| panel.across.as_str());
    let mut lines = vec![
        format!("| {across} | {} |", head.join(" | ")),
        format!("|{}", " ---: |".repeat(head.len() + 1)),
    ];
    for (size, row) in rows {
        let cell = |nth: usize| match row.get(nth).copied().flatten() {
            Some(number) if number >= 1_000.0 => format!("{number:.0}"),
            Some(number) => format!("{number:.2}"),
            None => "–".to_owned(),
        };
        let cells: Vec<String> = (0..head.len()).map(cell).collect();
        lines.push(format!("| {size} | {} |", cells.join(" | ")));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            20000   20000   files\n";
        assert_eq!(open_files(limits), Some(20_000));
        assert_eq!(
            open_files("Max open files  unlimited unlimited files"),
            None
        );
    }

    #[test]
    fn a_row_for_each_size() {
        let run = |members: u64, p50: f64| json!({"results": [{"members": members, "delivered_ms": {"p50": p50}}]});
        let all = joined(vec![run(10, 0.5), run(1_000, 2_000.4)]);
        let across = |row: &Value| figure(row, "/members");
        let panels = [panel("ms", "members")
            .line("p50", &all, across, "/delivered_ms/p50")
            .unwrap()];
        let expected = "| members | ms |\n| ---: | ---: |\n| 10 | 0.50 |\n| 1000 | 2000 |\n";
        assert_eq!(table(&panels), expected);
        assert!(
            panel("ms", "members")
                .line("p", &all, across, "/x")
                .is_err()
        );
    }

    #[test]
    fn other_series_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growth.json");
        keep(&path, Series::Rooms, vec![json!(1)]).unwrap();
        keep(&path, Series::Stored, vec![json!(2)]).unwrap();
        keep(&path, Series::Rooms, vec![json!(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), json!({"rooms": [3], "stored": [2]}));
    }
}
