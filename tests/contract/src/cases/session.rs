//! Sessions and refresh tokens.

use connexus_domain::session::{NewSession, Rotation};
use connexus_domain::{Entity, Limit, Session, SessionId};

use crate::World;
use crate::world::{Fault, fault, later, token};

pub async fn a_session_survives_the_round_trip(w: &World) {
    let [user] = w.people().await;
    let with_device = w.session(user, token(1)).await;
    let without = Session {
        id: SessionId::from_uuid(w.uuid()),
        device: None,
        last_used_at: w.now(),
        ..with_device.clone()
    };
    let new = NewSession {
        session: without.clone(),
        refresh: token(2),
    };
    w.sessions().open(&new).await.unwrap();
    let other = w.another().await;
    for session in [&with_device, &without] {
        let found = other.sessions().get(session.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(session));
    }
    let unknown = SessionId::from_uuid(w.uuid());
    assert_eq!(w.sessions().get(unknown).await.unwrap(), None);

    let ids = [without.id, unknown, with_device.id, without.id];
    let mut found = other.sessions().get_many(&ids).await.unwrap();
    found.sort_by_key(|session| session.device.is_none());
    assert_eq!(found, [with_device, without]);
    assert_eq!(w.sessions().get_many(&[]).await.unwrap(), []);
}

pub async fn a_session_of_nobody_is_refused(w: &World) {
    let [user] = w.people().await;
    let mut session = w.session(user, token(1)).await;
    session.id = SessionId::from_uuid(w.uuid());
    session.user_id = w.nobody();
    let new = NewSession {
        session,
        refresh: token(2),
    };
    let answer = w.sessions().open(&new).await;
    assert_eq!(fault(answer), Fault::NotFound(Entity::User));
    assert_eq!(w.sessions().get(new.session.id).await.unwrap(), None);
}

pub async fn a_token_is_good_for_one_rotation(w: &World) {
    let [user] = w.people().await;
    let mut expected = w.session(user, token(1)).await;
    for n in 1..4 {
        let now = w.now();
        expected.last_used_at = now;
        expected.expires_at = later(now, 9_000_000);
        let answer = w
            .sessions()
            .rotate(token(n), token(n + 1), expected.expires_at, now)
            .await
            .unwrap();
        assert_eq!(answer, Rotation::Rotated(expected.clone()));
        let found = w.sessions().get(expected.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected));
    }
}

pub async fn a_token_nobody_had_is_unknown(w: &World) {
    let [user] = w.people().await;
    let session = w.session(user, token(1)).await;
    let now = w.now();
    let answer = w
        .sessions()
        .rotate(token(9), token(2), later(now, 1), now)
        .await
        .unwrap();
    assert_eq!(answer, Rotation::Unknown);
    let found = w.sessions().get(session.id).await.unwrap();
    assert_eq!(found, Some(session));
}

pub async fn a_used_token_revokes_its_session_and_no_other(w: &World) {
    let [user] = w.people().await;
    let session = w.session(user, token(1)).await;
    let bystander = w.session(user, token(100)).await;
    let mut expires = session.expires_at;
    for n in 1..4 {
        expires = later(w.now(), 3_600_000);
        w.sessions()
            .rotate(token(n), token(n + 1), expires, w.now())
            .await
            .unwrap();
    }
    // not only the one before the current: any that was ever current
    let now = w.now();
    let answer = w
        .sessions()
        .rotate(token(2), token(50), later(now, 1_000), now)
        .await
        .unwrap();
    let Rotation::Reused(reused) = answer else {
        panic!("expected Reused, got {answer:?}");
    };
    assert_eq!((reused.id, reused.revoked_at), (session.id, Some(now)));
    assert_eq!(reused.expires_at, expires, "reuse lengthens nothing");
    let found = w.sessions().get(session.id).await.unwrap();
    assert_eq!(found, Some(reused));
    // the stolen family is dead: the current token, and the old ones
    for n in [4, 1, 2, 3] {
        let answer = w
            .sessions()
            .rotate(token(n), token(60), later(now, 1), w.now());
        assert_eq!(answer.await.unwrap(), Rotation::Ended, "token {n}");
    }
    // what was offered as the next token was never given out
    for n in [50, 60] {
        let answer = w
            .sessions()
            .rotate(token(n), token(61), later(now, 1), w.now());
        assert_eq!(answer.await.unwrap(), Rotation::Unknown, "token {n}");
    }
    let found = w.sessions().get(bystander.id).await.unwrap();
    assert_eq!(found, Some(bystander));
}

pub async fn a_token_of_an_ended_session_is_ended(w: &World) {
    let [user] = w.people().await;
    let revoked = w.session(user, token(1)).await;
    let expired = w.session(user, token(2)).await;
    let now = w.now();
    w.sessions().revoke(user, revoked.id, now).await.unwrap();
    let answer = w
        .sessions()
        .rotate(token(1), token(3), later(now, 1), w.now());
    assert_eq!(answer.await.unwrap(), Rotation::Ended);
    let end = expired.expires_at;
    let answer = w.sessions().rotate(token(2), token(4), later(end, 9), end);
    assert_eq!(
        answer.await.unwrap(),
        Rotation::Ended,
        "over at the very moment"
    );
    assert_eq!(w.sessions().get(expired.id).await.unwrap(), Some(expired));
}

pub async fn of_many_rotations_of_one_token_one_succeeds(w: &World) {
    let [user] = w.people().await;
    let session = w.session(user, token(1)).await;
    let instances = [w.storage().clone(), w.another().await];
    let tasks: Vec<_> = (0..8_u8)
        .map(|n| {
            let (storage, now) = (instances[usize::from(n % 2)].clone(), w.now());
            tokio::spawn(async move {
                storage
                    .sessions()
                    .rotate(token(1), token(10 + n), later(now, 60_000), now)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let (mut rotated, mut reused, mut ended) = (0, 0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Rotation::Rotated(_) => rotated += 1,
            Rotation::Reused(_) => reused += 1,
            Rotation::Ended => ended += 1,
            Rotation::Unknown => panic!("the token was known"),
        }
    }
    assert_eq!(rotated, 1);
    assert!(reused >= 1, "a second use is found out");
    assert_eq!(rotated + reused + ended, 8);
    let after = w.sessions().get(session.id).await.unwrap().unwrap();
    assert!(after.revoked_at.is_some(), "and ends the session");
}

pub async fn the_list_is_of_live_sessions_latest_used_first(w: &World) {
    let [user, other] = w.people().await;
    let first = w.session(user, token(1)).await;
    let second = w.session(user, token(2)).await;
    let third = w.session(user, token(3)).await;
    let gone = w.session(user, token(4)).await;
    w.session(other, token(5)).await;
    w.sessions().revoke(user, gone.id, w.now()).await.unwrap();
    let now = w.now();
    // lengthens the first only
    w.sessions()
        .rotate(token(1), token(6), later(third.expires_at, 1_000), now)
        .await
        .unwrap();
    let ids = async |now| -> Vec<SessionId> {
        let list = w.sessions().list(user, now).await.unwrap();
        list.into_iter().map(|session| session.id).collect()
    };
    assert_eq!(ids(w.now()).await, [first.id, third.id, second.id]);
    assert_eq!(
        ids(third.expires_at).await,
        [first.id],
        "expired ones are not live"
    );
}

pub async fn only_a_live_session_of_the_user_is_revoked(w: &World) {
    let [user, other] = w.people().await;
    let session = w.session(user, token(1)).await;
    let sessions = w.sessions();
    assert!(!sessions.revoke(other, session.id, w.now()).await.unwrap());
    let unknown = SessionId::from_uuid(w.uuid());
    assert!(!sessions.revoke(user, unknown, w.now()).await.unwrap());
    let found = sessions.get(session.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&session), "a stranger ended nothing");

    let now = w.now();
    assert!(sessions.revoke(user, session.id, now).await.unwrap());
    assert!(!sessions.revoke(user, session.id, w.now()).await.unwrap());
    let found = sessions.get(session.id).await.unwrap().unwrap();
    assert_eq!(found.revoked_at, Some(now), "the first end stays");

    let expired = w.session(user, token(2)).await;
    let end = expired.expires_at;
    assert!(!sessions.revoke(user, expired.id, end).await.unwrap());
}

pub async fn revoking_all_spares_one_and_answers_which(w: &World) {
    let [user, other] = w.people().await;
    let kept = w.session(user, token(1)).await;
    let a = w.session(user, token(2)).await;
    let b = w.session(user, token(3)).await;
    let before = w.session(user, token(4)).await;
    let foreign = w.session(other, token(5)).await;
    w.sessions().revoke(user, before.id, w.now()).await.unwrap();

    let now = w.now();
    let mut ended = w
        .sessions()
        .revoke_all(user, Some(kept.id), now)
        .await
        .unwrap();
    ended.sort_unstable();
    assert_eq!(ended, [a.id, b.id]);
    for id in ended {
        let found = w.sessions().get(id).await.unwrap().unwrap();
        assert_eq!(found.revoked_at, Some(now));
    }
    let found = w.sessions().get(foreign.id).await.unwrap();
    assert_eq!(found, Some(foreign));
    let rest = w.sessions().revoke_all(user, None, w.now()).await.unwrap();
    assert_eq!(rest, [kept.id]);
    assert_eq!(
        w.sessions().revoke_all(user, None, w.now()).await.unwrap(),
        []
    );
}

pub async fn purging_takes_the_ended_with_their_tokens(w: &World) {
    let [user] = w.people().await;
    let mut revoked = Vec::new();
    for n in 1..=3 {
        let session = w.session(user, token(n)).await;
        w.sessions()
            .revoke(user, session.id, w.now())
            .await
            .unwrap();
        revoked.push(session);
    }
    let before = w.now();
    let late = w.session(user, token(4)).await;
    w.sessions().revoke(user, late.id, w.now()).await.unwrap();
    let live = w.session(user, token(5)).await;

    let purge = async |before| {
        w.sessions()
            .purge_ended(before, Limit::of(2))
            .await
            .unwrap()
    };
    assert_eq!(purge(before).await, 2);
    assert_eq!(purge(before).await, 1);
    assert_eq!(purge(before).await, 0);
    for (n, session) in (1..).zip(&revoked) {
        assert_eq!(w.sessions().get(session.id).await.unwrap(), None);
        let now = w.now();
        let answer = w.sessions().rotate(token(n), token(9), later(now, 1), now);
        assert_eq!(answer.await.unwrap(), Rotation::Unknown);
    }
    assert!(w.sessions().get(late.id).await.unwrap().is_some());
    assert_eq!(w.sessions().get(live.id).await.unwrap(), Some(live.clone()));
    // by then the late one was revoked and the live one expired
    assert_eq!(purge(later(live.expires_at, 1)).await, 2);
    assert_eq!(w.sessions().get(live.id).await.unwrap(), None);
}
