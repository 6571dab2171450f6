//! Whether every receiver got every message once, in its sender's order, and in the same order as all
//! others in the room.

use std::collections::{BTreeSet, VecDeque};
use std::ops::AddAssign;

/// What went wrong, counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Stored messages that a receiver never got.
    pub lost: u64,
    /// Messages that came once more.
    pub doubled: u64,
    /// Messages that came after a later one of the same sender.
    pub disordered: u64,
    /// Receivers who saw their room's messages in another order than the others.
    pub diverged: u64,
    /// Messages of another room.
    pub misrouted: u64,
    /// Messages that were neither stored nor refused.
    pub unanswered: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Connections that ended before their time.
    pub closed: u64,
}

impl Faults {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("disordered", self.disordered),
            ("diverged", self.diverged),
            ("misrouted", self.misrouted),
            ("unanswered", self.unanswered),
            ("refused", self.refused),
            ("closed", self.closed),
        ]
    }

    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }
}

impl AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.diverged += other.diverged;
        self.misrouted += other.misrouted;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
        self.closed += other.closed;
    }
}

/// A message of a room: its sender, and its number among that sender's.
pub type Item = (usize, u64);

/// The order of a room's messages, as those who only listen see it. It grows with whoever is ahead.
pub type Order = Vec<Item>;

/// To how many receivers each message of a room is still on its way.
#[derive(Debug)]
pub struct Arrivals {
    receivers: usize,
    /// Of each sender: the first number that is not everywhere, and the receivers missing from there on.
    missing: Vec<(u64, VecDeque<usize>)>,
}

impl Arrivals {
    pub fn new(senders: usize, receivers: usize) -> Self {
        Self {
            receivers,
            missing: vec![(0, VecDeque::new()); senders],
        }
    }

    /// One receiver has a message; whether everybody has it now.
    pub fn arrived(&mut self, (sender, number): Item) -> bool {
        let Some((first, missing)) = self.missing.get_mut(sender) else {
            return false;
        };
        let Some(place) = number
            .checked_sub(*first)
            .and_then(|place| usize::try_from(place).ok())
        else {
            return false;
        };
        if missing.len() <= place {
            missing.resize(place + 1, self.receivers);
        }
        missing[place] = missing[place].saturating_sub(1);
        let everywhere = missing[place] == 0;
        while missing.front() == Some(&0) {
            missing.pop_front();
            *first += 1;
        }
        everywhere
    }
}

/// What one receiver has seen of its room.
#[derive(Debug)]
pub struct Seen {
    /// Which of the room's senders it is; a sender is not told what it said itself.
    own: Option<usize>,
    /// Next number, of each sender.
    next: Vec<u64>,
    /// Numbers below that have not come.
    gaps: BTreeSet<Item>,
    /// How much of the room's order has been compared.
    place: usize,
    /// Seen before any listener has.
    ahead: VecDeque<Item>,
    diverged: bool,
    faults: Faults,
}

impl Seen {
    pub fn new(senders: usize, own: Option<usize>) -> Self {
        Self {
            own,
            next: vec![0; senders],
            gaps: BTreeSet::new(),
            place: 0,
            ahead: VecDeque::new(),
            diverged: false,
            faults: Faults::default(),
        }
    }

    /// Takes note of a message; whether it is a new one.
    pub fn see(&mut self, item: Item) -> bool {
        let (sender, number) = item;
        let Some(next) = self.next.get_mut(sender) else {
            self.faults.misrouted += 1;
            return false;
        };
        if number >= *next {
            self.gaps
                .extend((*next..number).map(|missing| (sender, missing)));
            *next = number + 1;
        } else if self.gaps.remove(&item) {
            self.faults.disordered += 1;
        } else {
            self.faults.doubled += 1;
            return false;
        }
        true
    }

    /// Compares a message that was seen with the room's order.
    pub fn compare(&mut self, item: Item, order: &mut Order) {
        self.ahead.push_back(item);
        if self.own.is_none() && self.place == order.len() {
            order.push(item);
        }
        self.catch_up(order);
    }

    /// Compares what was seen before any listener had: who does not see its own messages cannot tell
    /// the order.
    pub fn catch_up(&mut self, order: &Order) {
        while let (Some(seen), Some(told)) = (self.ahead.front(), order.get(self.place)) {
            self.place += 1;
            if Some(told.0) == self.own {
                continue;
            }
            self.diverged |= seen != told;
            self.ahead.pop_front();
        }
    }

    pub fn misrouted(&mut self) {
        self.faults.misrouted += 1;
    }

    /// What went wrong, when `stored` is how many messages of each sender are known to be stored.
    pub fn conclude(&self, stored: &[u64]) -> Faults {
        let mut faults = self.faults;
        faults.diverged = u64::from(self.diverged);
        for (sender, (&stored, &next)) in stored.iter().zip(&self.next).enumerate() {
            if Some(sender) != self.own {
                let gaps = self.gaps.range((sender, 0)..(sender + 1, 0)).count() as u64;
                faults.lost += stored.saturating_sub(next - gaps);
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see_all(seen: &mut Seen, items: &[Item]) {
        for item in items {
            seen.see(*item);
        }
    }

    #[test]
    fn loss_doubles_and_disorder_are_told_apart() {
        let mut seen = Seen::new(2, None);
        see_all(&mut seen, &[(0, 0), (1, 0), (0, 2), (0, 1), (0, 1), (1, 3)]);
        let faults = seen.conclude(&[3, 4]);
        let counts = (faults.lost, faults.doubled, faults.disordered);
        assert_eq!(counts, (2, 1, 1), "1 and 2 of the second are missing");
        assert_eq!(seen.conclude(&[5, 2]).lost, 2, "3 and 4 of the first");
    }

    #[test]
    fn one_order_for_all() {
        let mut order = Order::new();
        let (mut first, mut second) = (Seen::new(2, None), Seen::new(2, None));
        for item in [(0, 0), (1, 0), (0, 1)] {
            first.compare(item, &mut order);
        }
        for item in [(0, 0), (0, 1), (1, 0)] {
            second.compare(item, &mut order);
        }
        assert_eq!(first.conclude(&[0, 0]).diverged, 0);
        assert_eq!(second.conclude(&[0, 0]).diverged, 1);
    }

    #[test]
    fn a_sender_is_compared_once_a_listener_has_told_the_order() {
        let mut order = Order::new();
        let (mut sender, mut listener) = (Seen::new(2, Some(0)), Seen::new(2, None));
        sender.compare((1, 0), &mut order);
        sender.compare((1, 1), &mut order);
        assert_eq!((order.len(), sender.place), (0, 0));
        for item in [(1, 0), (0, 0), (1, 1)] {
            listener.compare(item, &mut order);
        }
        sender.catch_up(&order);
        assert_eq!((sender.place, sender.diverged), (3, false));
        let mut other = Seen::new(2, Some(0));
        other.compare((1, 1), &mut order);
        assert!(other.diverged);
    }

    #[test]
    fn a_message_is_everywhere_when_the_last_receiver_has_it() {
        let mut arrivals = Arrivals::new(1, 2);
        assert!(!arrivals.arrived((0, 1)));
        assert!(!arrivals.arrived((0, 0)));
        assert!(arrivals.arrived((0, 1)));
        assert!(arrivals.arrived((0, 0)));
        assert!(!arrivals.arrived((0, 0)), "once only");
        assert!(!arrivals.arrived((7, 0)), "no such sender");
    }
}
