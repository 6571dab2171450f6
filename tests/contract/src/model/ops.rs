//! What a sequence is made of: choices by number, so that any sequence can be run and shrunk.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// How many users take part.
pub const USERS: usize = 4;
/// A direct conversation of the first two, a group of the first three, and a room of the first.
pub const PLACES: usize = 3;

/// A message to send. Numbers choose among what there is, counted round.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Which conversation.
    pub at: usize,
    /// Which user.
    pub by: usize,
    /// Which words.
    pub words: u8,
    /// Which message it answers.
    pub reply_to: Option<u8>,
    /// Which message's thread it is in.
    pub thread: Option<u8>,
    /// Which key of the sender.
    pub key: Option<u8>,
    /// Which file.
    pub file: Option<u8>,
}

/// One step.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are choices by number, as in `Draft`")]
pub enum Op {
    /// Uploads a file to send.
    Upload { at: usize, by: usize, kind: usize },
    /// Gives up one of the files.
    Discard { file: u8 },
    /// Sends a batch.
    Send(Vec<Draft>),
    /// Edits one of the messages of a conversation.
    Edit {
        at: usize,
        target: u8,
        by: usize,
        words: u8,
    },
    /// Deletes one.
    Delete { at: usize, target: u8, by: usize },
    /// Reacts to one, or takes that back.
    React {
        at: usize,
        target: u8,
        by: usize,
        face: u8,
        on: bool,
    },
    /// Moves watermarks: conversation, user, delivered, read.
    Advance(Vec<(usize, usize, u8, u8)>),
    /// Renames a conversation.
    Rename { at: usize, by: usize, name: u8 },
    /// Adds users.
    Add {
        at: usize,
        by: usize,
        users: Vec<usize>,
    },
    /// Removes a user, or lets one leave.
    Remove { at: usize, by: usize, target: usize },
    /// Gives a role.
    Role {
        at: usize,
        by: usize,
        target: usize,
        role: usize,
    },
    /// Enters the room.
    Join { by: usize },
    /// Archives or brings back.
    Keep {
        at: usize,
        by: usize,
        archived: bool,
    },
    /// Compares all that can be seen, and catches up on what changed since the last look.
    Look { page: u8 },
}

fn draft() -> impl Strategy<Value = Draft> {
    let rare = |some: u32| proptest::option::weighted(f64::from(some) / 10.0, any::<u8>());
    (
        0..PLACES,
        0..USERS,
        0..4_u8,
        rare(2),
        rare(4),
        rare(3),
        rare(5),
    )
        .prop_map(|(at, by, words, reply_to, thread, key, file)| Draft {
            at,
            by,
            words,
            reply_to,
            thread,
            key: key.map(|key| key % 3),
            file,
        })
}

fn op() -> impl Strategy<Value = Op> {
    let (at, by) = (0..PLACES, 0..USERS);
    let target = any::<u8>();
    let mark = (0..PLACES, 0..USERS, 0..12_u8, 0..12_u8);
    prop_oneof![
        6 => (at.clone(), by.clone(), 0..4_usize)
            .prop_map(|(at, by, kind)| Op::Upload { at, by, kind }),
        1 => target.prop_map(|file| Op::Discard { file }),
        8 => vec(draft(), 1..5).prop_map(Op::Send),
        3 => (at.clone(), target, by.clone(), 0..4_u8)
            .prop_map(|(at, target, by, words)| Op::Edit { at, target, by, words }),
        3 => (at.clone(), target, by.clone())
            .prop_map(|(at, target, by)| Op::Delete { at, target, by }),
        4 => (at.clone(), target, by.clone(), 0..3_u8, proptest::bool::weighted(0.7))
            .prop_map(|(at, target, by, face, on)| Op::React { at, target, by, face, on }),
        4 => vec(mark, 1..4).prop_map(Op::Advance),
        1 => (at.clone(), by.clone(), 0..3_u8)
            .prop_map(|(at, by, name)| Op::Rename { at, by, name }),
        2 => (at.clone(), by.clone(), vec(0..USERS, 1..3))
            .prop_map(|(at, by, users)| Op::Add { at, by, users }),
        2 => (at.clone(), by.clone(), 0..USERS)
            .prop_map(|(at, by, target)| Op::Remove { at, by, target }),
        2 => (at.clone(), by.clone(), 0..USERS, 0..3_usize)
            .prop_map(|(at, by, target, role)| Op::Role { at, by, target, role }),
        2 => by.clone().prop_map(|by| Op::Join { by }),
        1 => (at, by, any::<bool>()).prop_map(|(at, by, archived)| Op::Keep { at, by, archived }),
        2 => (1..6_u8).prop_map(|page| Op::Look { page }),
        1 => Just(Op::Look { page: 100 }),
    ]
}

/// Sequences of up to this many steps.
pub fn operations(most: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..=most)
}

/// The sequence of a seed: always the same.
pub fn sequence(seed: u64, steps: usize) -> Vec<Op> {
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    });
    let tree = vec(op(), steps).new_tree(&mut runner);
    tree.expect("a strategy without filters").current()
}
