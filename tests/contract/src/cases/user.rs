//! Accounts.

use connexus_domain::ports::{NewUser, PasswordHash};
use connexus_domain::{
    Email, Entity, Privacy, Status, User, UserId, UserPatch, Username, Visibility,
};

use crate::World;
use crate::world::{ALL, Fault, fault, later, token, walk};

pub async fn every_field_survives_the_round_trip(w: &World) {
    let mut new = w.new_user("Ann_1.x-y");
    new.user = User {
        email: Email::parse("Jürgen+tag@Bücher.example").unwrap(),
        display_name: "Ann 👩🏽‍💻 עברית e\u{301}".to_owned(),
        avatar_url: Some("https://a.example/ä.png?x='\"".to_owned()),
        bio: Some("line one\nline two\t\u{1F600}".to_owned()),
        status: Status::Busy,
        status_text: Some("at 'work'; -- % _ \\".to_owned()),
        privacy: Privacy {
            presence: Visibility::Contacts,
            read_receipts: false,
            searchable: false,
        },
        last_seen_at: Some(w.now()),
        updated_at: later(new.user.created_at, 7),
        ..new.user
    };
    w.users().create(&new).await.unwrap();
    let id = new.user.id;
    assert_eq!(w.users().get(id).await.unwrap(), Some(new.user.clone()));
    let other = w.another().await;
    assert_eq!(other.users().get(id).await.unwrap(), Some(new.user.clone()));
    let found = w.users().credentials(id).await.unwrap().unwrap();
    assert_eq!(found.user, new.user);
    assert_eq!(found.password_hash.0, new.password_hash.0);
}

pub async fn every_status_and_visibility_is_kept(w: &World) {
    for (n, (status, presence)) in Status::ALL.into_iter().zip(Visibility::ALL).enumerate() {
        let mut new = w.new_user(&format!("user{n}"));
        new.user.status = status;
        new.user.privacy.presence = presence;
        w.users().create(&new).await.unwrap();
        let found = w.users().get(new.user.id).await.unwrap();
        assert_eq!(found, Some(new.user));
    }
}

pub async fn who_is_not_there_is_none(w: &World) {
    let nobody = w.nobody();
    assert_eq!(w.users().get(nobody).await.unwrap(), None);
    assert!(w.users().credentials(nobody).await.unwrap().is_none());
    for key in ["nobody", "nobody@example.org", "", "@", "' or 1=1 --"] {
        let found = w.users().credentials_by_login(key).await.unwrap();
        assert!(found.is_none(), "{key:?}");
    }
}

pub async fn a_taken_username_is_named_whatever_its_case(w: &World) {
    w.user("Alice").await;
    let mut again = w.new_user("aLICE");
    again.user.email = Email::parse("else@example.org").unwrap();
    assert_eq!(
        fault(w.users().create(&again).await),
        Fault::Conflict("username")
    );
    assert_eq!(w.users().get(again.user.id).await.unwrap(), None);
}

pub async fn a_taken_email_is_named_whatever_its_case(w: &World) {
    let mut first = w.new_user("first");
    first.user.email = Email::parse("Straße@Example.org").unwrap();
    w.users().create(&first).await.unwrap();
    let mut second = w.new_user("second");
    second.user.email = Email::parse("STRASSE@example.ORG").unwrap();
    assert_eq!(
        fault(w.users().create(&second).await),
        Fault::Conflict("email")
    );
    assert_eq!(w.users().get(second.user.id).await.unwrap(), None);
}

pub async fn of_two_taken_keys_one_is_named(w: &World) {
    w.user("alice").await;
    let again = w.new_user("alice");
    let named = fault(w.users().create(&again).await);
    let either = [Fault::Conflict("username"), Fault::Conflict("email")];
    assert!(either.contains(&named), "{named:?}");
}

pub async fn of_many_who_want_one_username_one_gets_it(w: &World) {
    let answers = rush(w, |w, n| {
        let mut new = w.new_user("wanted");
        new.user.email = Email::parse(&format!("mail{n}@example.org")).unwrap();
        new
    })
    .await;
    assert_eq!(answers.iter().filter(|a| a.is_none()).count(), 1);
    let refused = answers.iter().flatten().collect::<Vec<_>>();
    assert_eq!(refused, vec![&Fault::Conflict("username"); 15]);
}

pub async fn of_many_who_want_one_email_one_gets_it(w: &World) {
    let answers = rush(w, |w, n| {
        let mut new = w.new_user(&format!("wanting{n}"));
        new.user.email = Email::parse("wanted@example.org").unwrap();
        new
    })
    .await;
    assert_eq!(answers.iter().filter(|a| a.is_none()).count(), 1);
    let refused = answers.iter().flatten().collect::<Vec<_>>();
    assert_eq!(refused, vec![&Fault::Conflict("email"); 15]);
}

/// Sixteen simultaneous creations through two instances: what was wrong with each.
async fn rush(w: &World, make: impl Fn(&World, usize) -> NewUser) -> Vec<Option<Fault>> {
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let (storage, new) = (instances[n % 2].clone(), make(w, n));
            tokio::spawn(async move { storage.users().create(&new).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap().err().as_ref().map(Fault::from));
    }
    answers
}

pub async fn get_many_answers_each_that_exists_once(w: &World) {
    let [a, b, _c] = w.people().await;
    let mut found: Vec<UserId> = w
        .users()
        .get_many(&[b, w.nobody(), a, b, a])
        .await
        .unwrap()
        .into_iter()
        .map(|user| user.id)
        .collect();
    found.sort_unstable();
    assert_eq!(found, [a, b]);
    assert_eq!(w.users().get_many(&[]).await.unwrap(), []);
}

pub async fn login_finds_by_either_key(w: &World) {
    let new = w.new_user("Bob.Builder");
    w.users().create(&new).await.unwrap();
    for key in [new.user.username.key(), new.user.email.key()] {
        let found = w.users().credentials_by_login(&key).await.unwrap();
        let found = found.expect(&key);
        assert_eq!(found.user, new.user);
        assert_eq!(found.password_hash.0, new.password_hash.0);
    }
}

pub async fn an_update_changes_what_it_names_and_no_more(w: &World) {
    let id = w.user("alice").await;
    let before = w.users().get(id).await.unwrap().unwrap();
    let filled = UserPatch {
        username: Some(Username::parse("Alicia").unwrap()),
        display_name: Some("Alicia".to_owned()),
        avatar_url: Some(Some("/a.png".to_owned())),
        bio: Some(Some("hello".to_owned())),
        status: Some(Status::Away),
        status_text: Some(Some("out".to_owned())),
        privacy: Some(Privacy {
            presence: Visibility::Nobody,
            read_receipts: false,
            searchable: false,
        }),
    };
    let emptied = UserPatch {
        avatar_url: Some(None),
        bio: Some(None),
        status_text: Some(None),
        ..UserPatch::default()
    };
    let mut expected = before;
    for patch in [filled, emptied, UserPatch::default()] {
        let now = w.now();
        expected = patch.apply(expected, now);
        let answer = w.users().update(id, &patch, now).await.unwrap();
        assert_eq!(answer.as_ref(), Some(&expected));
        assert_eq!(w.users().get(id).await.unwrap().as_ref(), Some(&expected));
    }
    assert!(
        w.users()
            .credentials_by_login("alicia")
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        w.users()
            .credentials_by_login("alice")
            .await
            .unwrap()
            .is_none()
    );
}

pub async fn an_update_of_nobody_is_none(w: &World) {
    let patch = UserPatch {
        display_name: Some("x".to_owned()),
        ..UserPatch::default()
    };
    let answer = w.users().update(w.nobody(), &patch, w.now()).await.unwrap();
    assert_eq!(answer, None);
}

pub async fn an_update_to_a_taken_username_is_refused(w: &World) {
    let rename = |name: &str| UserPatch {
        username: Some(Username::parse(name).unwrap()),
        ..UserPatch::default()
    };
    let (alice, bob) = (w.user("alice").await, w.user("bob").await);
    let refused = w.users().update(bob, &rename("ALICE"), w.now()).await;
    assert_eq!(fault(refused), Fault::Conflict("username"));
    let kept = w.users().get(bob).await.unwrap().unwrap();
    assert_eq!(kept.username.as_str(), "bob");
    // the own name in another case is not taken by another
    let own = w
        .users()
        .update(alice, &rename("ALICE"), w.now())
        .await
        .unwrap();
    assert_eq!(own.unwrap().username.as_str(), "ALICE");
    // a name that was given up is free
    w.users()
        .update(alice, &rename("carol"), w.now())
        .await
        .unwrap();
    let freed = w
        .users()
        .update(bob, &rename("alice"), w.now())
        .await
        .unwrap();
    assert_eq!(freed.unwrap().username.as_str(), "alice");
}

pub async fn a_new_password_ends_the_other_sessions(w: &World) {
    let [alice, bob] = w.people().await;
    let kept = w.session(alice, token(1)).await;
    let ended = w.session(alice, token(2)).await;
    let gone = w.session(alice, token(3)).await;
    w.sessions().revoke(alice, gone.id, w.now()).await.unwrap();
    let foreign = w.session(bob, token(4)).await;

    let (hash, now) = (PasswordHash("$new".to_owned()), w.now());
    let answer = w
        .users()
        .change_password(alice, &hash, Some(kept.id), now)
        .await
        .unwrap();
    assert_eq!(answer, [ended.id], "those that ended by it");
    let found = w.users().credentials(alice).await.unwrap().unwrap();
    assert_eq!(found.password_hash.0, "$new");
    let after = w.sessions().get(ended.id).await.unwrap().unwrap();
    assert_eq!(after.revoked_at, Some(now));
    assert_eq!(w.sessions().get(kept.id).await.unwrap(), Some(kept.clone()));
    assert_eq!(w.sessions().get(foreign.id).await.unwrap(), Some(foreign));

    let rest = w
        .users()
        .change_password(alice, &hash, None, w.now())
        .await
        .unwrap();
    assert_eq!(rest, [kept.id]);
    assert_eq!(w.sessions().list(alice, w.now()).await.unwrap(), []);
}

pub async fn a_new_password_of_nobody_is_refused(w: &World) {
    let hash = PasswordHash("$new".to_owned());
    let answer = w
        .users()
        .change_password(w.nobody(), &hash, None, w.now())
        .await;
    assert_eq!(fault(answer), Fault::NotFound(Entity::User));
}

pub async fn last_seen_never_moves_back(w: &World) {
    let [a, b, untouched] = w.people().await;
    let before = w.users().get(a).await.unwrap().unwrap();
    let (t1, t2, t3) = (w.now(), w.now(), w.now());
    let seen = async |id| w.users().get(id).await.unwrap().unwrap().last_seen_at;

    w.users()
        .touch_last_seen(&[(a, t2), (w.nobody(), t3), (b, t1)])
        .await
        .unwrap();
    assert_eq!((seen(a).await, seen(b).await), (Some(t2), Some(t1)));
    w.users()
        .touch_last_seen(&[(a, t1), (b, t2)])
        .await
        .unwrap();
    assert_eq!((seen(a).await, seen(b).await), (Some(t2), Some(t2)));
    // named several times in one batch: the latest counts, wherever it stands
    w.users()
        .touch_last_seen(&[(a, t1), (a, t3), (a, t2)])
        .await
        .unwrap();
    assert_eq!(seen(a).await, Some(t3));
    assert_eq!(seen(untouched).await, None);
    w.users().touch_last_seen(&[]).await.unwrap();
    let after = w.users().get(a).await.unwrap().unwrap();
    assert_eq!(
        after,
        User {
            last_seen_at: Some(t3),
            ..before
        }
    );
}

/// An account with this display name.
async fn shown(w: &World, name: &str, display_name: &str) -> UserId {
    let mut new = w.new_user(name);
    new.user.display_name = display_name.to_owned();
    w.users().create(&new).await.unwrap();
    new.user.id
}

async fn found(w: &World, viewer: UserId, prefix: &str) -> Vec<UserId> {
    let page = w.users().search(viewer, prefix, None, ALL).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|user| user.id).collect()
}

pub async fn search_is_by_folded_prefix_of_either_name(w: &World) {
    let viewer = shown(w, "viewer", "viewer").await;
    let ann = shown(w, "AnnSmith", "Zoë Straße").await;
    let anna = shown(w, "xavier", "ANNA").await;
    let file = shown(w, "yvonne", "ﬁne 東京都").await;
    assert_eq!(found(w, viewer, "aNN").await, [ann, anna]);
    assert_eq!(found(w, viewer, "annsmith").await, [ann]);
    assert_eq!(found(w, viewer, "ZOE\u{308} STRASSE").await, [ann]);
    assert_eq!(found(w, viewer, "FI").await, [file]);
    assert_eq!(found(w, viewer, "ﬁne 東京").await, [file]);
    // a prefix of the whole name, not of a word in it, nor something inside
    assert_eq!(found(w, viewer, "smith").await, []);
    assert_eq!(found(w, viewer, "straße").await, []);
    assert_eq!(found(w, viewer, "annsmithx").await, []);
    assert_eq!(found(w, viewer, "").await, [ann, anna, file]);
}

pub async fn search_follows_a_change_of_name(w: &World) {
    let (viewer, user) = (w.user("viewer").await, w.user("oldname").await);
    let patch = UserPatch {
        username: Some(Username::parse("newname").unwrap()),
        display_name: Some("Display".to_owned()),
        ..UserPatch::default()
    };
    w.users().update(user, &patch, w.now()).await.unwrap();
    assert_eq!(found(w, viewer, "old").await, []);
    assert_eq!(found(w, viewer, "new").await, [user]);
    assert_eq!(found(w, viewer, "display").await, [user]);
}

pub async fn search_leaves_out_the_viewer_the_blocked_and_the_hidden(w: &World) {
    let [viewer, plain, blocked, blocker, hidden, bystander] = w.people().await;
    w.blocks().block(viewer, blocked, w.now()).await.unwrap();
    w.blocks().block(blocker, viewer, w.now()).await.unwrap();
    w.blocks().block(bystander, plain, w.now()).await.unwrap();
    let hide = UserPatch {
        privacy: Some(Privacy {
            searchable: false,
            ..Privacy::default()
        }),
        ..UserPatch::default()
    };
    w.users().update(hidden, &hide, w.now()).await.unwrap();
    assert_eq!(found(w, viewer, "user").await, [plain, bystander]);
    assert_eq!(found(w, viewer, "").await, [plain, bystander]);
    w.blocks().unblock(viewer, blocked).await.unwrap();
    assert_eq!(found(w, viewer, "user").await, [plain, blocked, bystander]);
}

pub async fn search_takes_every_character_for_itself(w: &World) {
    let viewer = shown(w, "viewer", "viewer").await;
    let names = [
        "%",
        "100% real",
        "_",
        "a_b",
        "\\",
        "c:\\dir",
        "'",
        "o'neil",
        "\"q\"",
        "*",
        "[x]",
        ".*",
        "^$",
        "$where",
        "{\"$ne\":1}",
        "\u{10FFFF}",
        "(",
        "~",
    ];
    let mut ids = Vec::new();
    for (n, name) in names.iter().enumerate() {
        ids.push(shown(w, &format!("holder{n}"), name).await);
    }
    let decoys = ["axb", "100x real", "c:/dir", "oxneil", "x"];
    for (n, name) in decoys.iter().enumerate() {
        shown(w, &format!("decoy{n}"), name).await;
    }
    for (name, id) in names.iter().zip(ids) {
        assert_eq!(found(w, viewer, name).await, [id], "{name:?}");
    }
    for nothing in [
        "holder_",
        "h%",
        "hold*",
        "%older",
        "' or '1'='1",
        "\u{10FFFF}\u{10FFFF}",
    ] {
        assert_eq!(found(w, viewer, nothing).await, [], "{nothing:?}");
    }
}

pub async fn search_pages_make_the_whole_list(w: &World) {
    let viewer = w.user("viewer").await;
    // accounts are not made in the order of their ids
    let mut all: Vec<NewUser> = (0..9).map(|n| w.new_user(&format!("name{n}"))).collect();
    let expected: Vec<UserId> = all.iter().map(|new| new.user.id).collect();
    all.rotate_left(4);
    all.swap(0, 3);
    for new in &all {
        w.users().create(new).await.unwrap();
    }
    for limit in [1, 2, 3, 4, 8, 9, 10] {
        let pages = walk(limit, async |after, limit| {
            w.users().search(viewer, "NAME", after, limit).await
        })
        .await;
        let ids: Vec<UserId> = pages.iter().map(|user| user.id).collect();
        assert_eq!(ids, expected, "pages of {limit}");
    }
}
