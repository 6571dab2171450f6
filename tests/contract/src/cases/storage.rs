use crate::World;

pub async fn it_has_a_name_and_answers_a_ping(w: &World) {
    assert!(!w.storage().name().is_empty());
    w.storage().ping().await.unwrap();
}
