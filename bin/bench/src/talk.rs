//! The workloads in which somebody sends: fan-out, chat, durable sends.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::ArgAction;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use crate::api::{Api, User};
use crate::protocol::Protocol;
use crate::report::{Report, Row};
use crate::run::{self, Pace, Plan, RoomPlan, Span, Until};
use crate::tag::TAG_MAX;
use crate::target::{self, Target};
use crate::users;

/// Conversations that are made at the same time.
const OPENING: usize = 8;

/// What all of them have in common.
#[derive(Debug, clap::Args)]
pub struct Common {
    #[command(flatten)]
    target: target::Args,
    /// What the client speaks.
    #[arg(long, default_value = "native")]
    protocol: Protocol,
    /// Messages a second over all senders, each at its time whatever the server does; latencies count
    /// from that time. Instead of `--in-flight`.
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Seconds before what is measured.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    warm_up: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    duration: f64,
    /// Seconds in which nothing comes, at the end, before what is missing counts as lost.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    grace: f64,
    /// Length of each message, in bytes.
    #[arg(long, default_value_t = 128)]
    payload: usize,
    /// Users to log in as; who is missing is registered, and noted in the file.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Write the results to a file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One room: every message goes to all its members.
#[derive(Debug, clap::Args)]
pub struct Fanout {
    /// Members, all of them connected; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    members: Vec<usize>,
    /// How many of them send; one at least only listens.
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// Messages that each sender has under way; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "4")]
    in_flight: Vec<usize>,
    /// When a message is no longer under way.
    #[arg(long, default_value = "delivered")]
    until: Until,
    /// Members who stop reading as soon as all are connected. In the end they read what is left, come back,
    /// and have to have every message once.
    #[arg(long, default_value_t = 0, value_name = "N")]
    stopped_readers: usize,
    #[command(flatten)]
    common: Common,
}

/// Rooms with typing and read marks.
#[derive(Debug, clap::Args)]
pub struct Chat {
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    /// Members of each room, all of them connected and in no other.
    #[arg(long, default_value_t = 10)]
    members: usize,
    /// How many of them send; one at least only listens.
    #[arg(long, default_value_t = 2)]
    senders: usize,
    /// Messages that each sender has under way.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// When a message is no longer under way.
    #[arg(long, default_value = "delivered")]
    until: Until,
    /// Whether each message is announced by a typing start.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    typing: bool,
    /// After how many messages a receiver marks everything read; never when 0.
    #[arg(long, default_value_t = 10)]
    read_every: u64,
    #[command(flatten)]
    common: Common,
}

/// Direct conversations, in each of which one sends: how many messages are stored.
#[derive(Debug, clap::Args)]
pub struct Sends {
    #[arg(long, default_value_t = 500)]
    chats: usize,
    /// Messages that each sender has under way; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    in_flight: Vec<usize>,
    #[command(flatten)]
    common: Common,
}

/// A workload, in the sizes that are measured.
struct Workload<'a> {
    name: &'static str,
    sizes: Vec<Size>,
    direct: bool,
    typing: bool,
    read_every: u64,
    common: &'a Common,
}

#[derive(Clone, Copy)]
struct Size {
    rooms: usize,
    members: usize,
    senders: usize,
    /// Of each sender.
    in_flight: usize,
    until: Until,
    /// How many of them stop reading.
    stopped: usize,
}

pub async fn fanout(args: &Fanout) -> anyhow::Result<()> {
    ensure!(
        args.stopped_readers == 0 || args.common.protocol == Protocol::Native,
        "--stopped-readers come back with the native socket's sync"
    );
    let mut sizes = Vec::new();
    for &members in &args.members {
        for &in_flight in &args.in_flight {
            sizes.push(Size {
                rooms: 1,
                members,
                senders: args.senders,
                in_flight,
                until: args.until,
                stopped: args.stopped_readers,
            });
        }
    }
    let workload = Workload {
        name: "fanout",
        sizes,
        direct: false,
        typing: false,
        read_every: 0,
        common: &args.common,
    };
    workload.run().await
}

pub async fn chat(args: &Chat) -> anyhow::Result<()> {
    let size = Size {
        rooms: args.rooms,
        members: args.members,
        senders: args.senders,
        in_flight: args.in_flight,
        until: args.until,
        stopped: 0,
    };
    let workload = Workload {
        name: "chat",
        sizes: vec![size],
        direct: false,
        typing: args.typing,
        read_every: args.read_every,
        common: &args.common,
    };
    workload.run().await
}

pub async fn sends(args: &Sends) -> anyhow::Result<()> {
    let sizes = args.in_flight.iter().map(|&in_flight| Size {
        rooms: args.chats,
        members: 2,
        senders: 1,
        in_flight,
        until: Until::Acknowledged,
        stopped: 0,
    });
    let workload = Workload {
        name: "sends",
        sizes: sizes.collect(),
        direct: true,
        typing: false,
        read_every: 0,
        common: &args.common,
    };
    workload.run().await
}

impl Size {
    /// Nobody is told its own messages, so somebody has to be there who only listens. Whoever is alone
    /// has nobody to wait for but the server.
    fn checked(self) -> anyhow::Result<Self> {
        ensure!(
            self.rooms > 0 && self.members > 0 && self.senders > 0 && self.in_flight > 0,
            "rooms, members, senders and messages in flight must be 1 at least"
        );
        ensure!(
            self.stopped == 0 || self.stopped + 2 <= self.members,
            "of {} members, one sends and one listens at least: {} cannot stop reading",
            self.members,
            self.stopped
        );
        let alone = self.members == 1;
        let reading = self.members - self.stopped;
        Ok(Self {
            senders: self.senders.min(reading.saturating_sub(1)).max(1),
            until: if alone {
                Until::Acknowledged
            } else {
                self.until
            },
            ..self
        })
    }

    fn pace(self, rate: Option<f64>) -> (Pace, String) {
        match rate {
            Some(rate) => (Pace::Open { rate }, format!("{rate}/s")),
            None => (
                Pace::Closed {
                    in_flight: self.in_flight * self.senders * self.rooms,
                    until: self.until,
                },
                format!("{} each", self.in_flight),
            ),
        }
    }
}

impl Workload<'_> {
    async fn run(self) -> anyhow::Result<()> {
        let sizes: Vec<Size> = self
            .sizes
            .iter()
            .map(|size| size.checked())
            .collect::<anyhow::Result<_>>()?;
        let target = self.common.target.target().await?;
        match self.measure(&target, sizes).await {
            Ok((report, left)) => {
                target.leave(&left).await?;
                report.check()
            }
            Err(error) => {
                target.leave("what had been made by then").await?;
                Err(error)
            }
        }
    }

    /// Measures and prints; answers what is left behind, too.
    async fn measure(&self, target: &Target, sizes: Vec<Size>) -> anyhow::Result<(Report, String)> {
        let common = self.common;
        let people = sizes.iter().map(|size| size.rooms * size.members).max();
        let api = Api::new(target.place.url());
        let users = users::prepare(&api, people.unwrap_or(0), common.users.as_deref()).await?;
        let payload = common.payload.clamp(TAG_MAX, common.protocol.text_max());
        let mut report = Report::new(
            self.name,
            json!({
                "protocol": common.protocol.name(),
                "storage": target.storage,
                "payload_bytes": payload,
                "typing": self.typing,
                "read_every": self.read_every,
            }),
        );
        let (mut conversations, mut messages) = (0, 0);
        for size in sizes {
            let (pace, named) = size.pace(common.rate);
            eprintln!("{} × {} members, {named}", size.rooms, size.members);
            let plan = Plan {
                protocol: common.protocol,
                rooms: self.rooms(&api, &users.list, size).await?,
                pace,
                typing: self.typing,
                read_every: self.read_every,
                payload,
                span: common.span(),
                server_pid: target.pid,
            };
            conversations += plan.rooms.len();
            let figures = run::measure(&target.place, plan).await?;
            messages += figures.stored;
            report.add(Row {
                rooms: size.rooms,
                members: size.members,
                senders: size.senders,
                pace: named,
                figures,
            });
        }
        report.print();
        if let Some(path) = &common.json {
            report.write(path)?;
        }
        let left = format!(
            "{} new users (bench…), {conversations} conversations, {messages} messages",
            users.registered
        );
        Ok((report, left))
    }

    async fn rooms(&self, api: &Api, users: &[User], size: Size) -> anyhow::Result<Vec<RoomPlan>> {
        let direct = self.direct;
        let groups: Vec<&[User]> = users.chunks(size.members).take(size.rooms).collect();
        stream::iter(groups)
            .map(|members| async move {
                let conversation = match members {
                    [one, other] if direct => api.open_direct(one, other).await?,
                    _ => api.create_group(members).await?,
                };
                let (reading, stopped) = members.split_at(members.len() - size.stopped);
                Ok(RoomPlan {
                    conversation,
                    members: reading.to_vec(),
                    senders: size.senders,
                    stopped: stopped.to_vec(),
                })
            })
            .buffered(OPENING)
            .try_collect()
            .await
    }
}

impl Common {
    fn span(&self) -> Span {
        Span {
            warm_up: Duration::from_secs_f64(self.warm_up),
            duration: Duration::from_secs_f64(self.duration),
            grace: Duration::from_secs_f64(self.grace),
        }
    }
}

/// Seconds of at most a day.
pub fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let fits = (0.0..=86_400.0).contains(&number);
    fits.then_some(number)
        .ok_or_else(|| "must be 0 to 86400".to_owned())
}

/// More than nothing.
pub fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let fits = number > 0.0 && number <= 1e9;
    fits.then_some(number)
        .ok_or_else(|| "must be more than 0".to_owned())
}
