//! What a version before has stored, for an adapter's tests of its migrations.

use connexus_domain::{ChangePage, ConversationId, MessageId, UserId};

use crate::World;
use crate::cases::change;
use crate::world::{ALL, body};

/// Messages of a conversation, some of them edited, and what was told of it after each rev.
pub struct Changes<'w> {
    world: &'w World,
    id: ConversationId,
    by: UserId,
    said: Vec<MessageId>,
    told: Vec<ChangePage>,
}

impl<'w> Changes<'w> {
    /// Stores them.
    pub async fn store(world: &'w World) -> Self {
        let [by] = world.people().await;
        let mut changes = Self {
            world,
            id: world.group(by, &[]).await,
            by,
            said: Vec::new(),
            told: Vec::new(),
        };
        for n in 0..6 {
            let said = world.say(changes.id, by, &format!("words {n}")).await;
            changes.said.push(said.id);
        }
        changes.edit(4).await;
        changes.edit(1).await;
        changes.told = changes.all().await;
        changes
    }

    /// Fails unless the same is told still, and what comes now, too.
    pub async fn check(&self) {
        assert_eq!(self.all().await, self.told);
        let rev = self.world.conversation(self.id).await.rev;
        self.edit(0).await;
        let newer = self.world.say(self.id, self.by, "newer").await.id;
        let page = change::page(self.world, self.id, rev, ALL).await;
        assert_eq!(change::messages(&page.changes), [self.said[0], newer]);
    }

    async fn edit(&self, place: usize) {
        let (message, now) = (self.said[place], self.world.now());
        let edited = self.world.messages();
        let edited = edited.edit(message, self.by, &body("edited"), now).await;
        assert!(edited.unwrap().changed);
    }

    async fn all(&self) -> Vec<ChangePage> {
        let mut told = Vec::new();
        for rev in 0..=self.world.conversation(self.id).await.rev {
            told.push(change::page(self.world, self.id, rev, ALL).await);
        }
        told
    }
}
