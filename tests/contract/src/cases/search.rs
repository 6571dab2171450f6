//! Searching for messages.

use connexus_domain::ports::MessageSearch;
use connexus_domain::{ConversationId, Limit, Message, MessageId, UserId, terms};

use crate::World;
use crate::world::{ALL, EVER, body, search, walk};

/// What is found, which is the same whether nothing more, a part or all is indexed.
async fn run(w: &World, search: &MessageSearch) -> Vec<MessageId> {
    let mut answers = Vec::new();
    for step in [Limit::of(2), ALL, ALL] {
        let page = w.messages().search(search).await.unwrap();
        assert_eq!(page.next, None);
        answers.push(page.items.into_iter().map(|message| message.id).collect());
        w.messages().index(EVER, step).await.unwrap();
    }
    let first: Vec<MessageId> = answers.swap_remove(0);
    for other in answers {
        assert_eq!(other, first, "{search:?}, as more is indexed");
    }
    first
}

pub(super) async fn found(w: &World, viewer: UserId, text: &str) -> Vec<MessageId> {
    run(w, &search(viewer, text)).await
}

/// A conversation of one, with these words in it: the latest first, as search answers.
pub(super) async fn library<const N: usize>(
    w: &World,
    texts: [&str; N],
) -> (UserId, [MessageId; N]) {
    let reader = w.user("reader").await;
    let id = w.group(reader, &[]).await;
    let mut ids = Vec::new();
    for text in texts {
        ids.push(w.say(id, reader, text).await.id);
    }
    (reader, ids.try_into().unwrap())
}

pub async fn all_terms_must_be_there_in_any_order(w: &World) {
    let (reader, [one, two, three]) =
        library(w, ["red green blue", "blue, red!", "green blue green"]).await;
    assert_eq!(found(w, reader, "blue red").await, [two, one]);
    assert_eq!(found(w, reader, "red blue").await, [two, one]);
    assert_eq!(found(w, reader, "blue green").await, [three, one]);
    assert_eq!(found(w, reader, "green red blue").await, [one]);
    assert_eq!(found(w, reader, "blue").await, [three, two, one]);
    assert_eq!(found(w, reader, "red violet").await, []);
    assert_eq!(found(w, reader, "green green green").await, [three, one]);
}

pub async fn the_last_term_is_a_prefix_and_no_other(w: &World) {
    let (reader, [good, goodness, only]) =
        library(w, ["good morning", "goodness of mornings", "morn"]).await;
    assert_eq!(found(w, reader, "good mor").await, [good]);
    assert_eq!(found(w, reader, "goodness mor").await, [goodness]);
    assert_eq!(found(w, reader, "mor good").await, [], "only the last");
    assert_eq!(found(w, reader, "morning good").await, [good]);
    assert_eq!(found(w, reader, "morn").await, [only, goodness, good]);
    assert_eq!(found(w, reader, "m").await, [only, goodness, good]);
    assert_eq!(
        found(w, reader, "orning").await,
        [],
        "nothing in the middle"
    );
    assert_eq!(found(w, reader, "morningx").await, []);
}

pub async fn case_and_form_make_no_difference(w: &World) {
    let texts = [
        "Straße",
        "ﬁle ½",
        "É e\u{301}tude",
        "ПРИВЕТ мир",
        "ΌΔΟΣ",
        "Ｆｕｌｌ ｗｉｄｔｈ",
        "हिन्दी भाषा",
    ];
    let (reader, [street, file, study, hello, road, wide, hindi]) = library(w, texts).await;
    for (text, expected) in [
        ("STRASSE", street),
        ("strasse", street),
        ("FILE", file),
        ("ÉTUDE", study),
        ("e\u{301}tude", study),
        ("привет МИР", hello),
        ("όδος", road),
        ("full WIDTH", wide),
        ("हिन्दी", hindi),
    ] {
        assert_eq!(found(w, reader, text).await, [expected], "{text:?}");
    }
    assert_eq!(found(w, reader, "हन").await, [], "marks are part of a word");
}

pub async fn texts_without_spaces_are_found_by_their_pairs(w: &World) {
    let texts = [
        "東京都に行く",
        "京都に行く",
        "字",
        "한국어 공부",
        "abc東京xyz",
        "𠮷野家",
    ];
    let (reader, [tokyo, kyoto, sign, korean, mixed, rare]) = library(w, texts).await;
    assert_eq!(found(w, reader, "東京").await, [mixed, tokyo]);
    assert_eq!(found(w, reader, "京都").await, [kyoto, tokyo]);
    assert_eq!(found(w, reader, "東京都").await, [tokyo]);
    assert_eq!(found(w, reader, "京都に行").await, [kyoto, tokyo]);
    assert_eq!(found(w, reader, "字").await, [sign]);
    assert_eq!(
        found(w, reader, "東").await,
        [mixed, tokyo],
        "the start of a pair"
    );
    assert_eq!(found(w, reader, "국어").await, [korean]);
    assert_eq!(found(w, reader, "xyz").await, [mixed]);
    assert_eq!(found(w, reader, "𠮷野").await, [rare]);
    assert_eq!(found(w, reader, "大阪").await, []);
}

pub async fn a_query_is_words_and_never_a_language(w: &World) {
    let texts = [
        "alpha near beta",
        "alpha beta",
        "not or and",
        "where ne regex",
        "body terms rowid",
        "it's a test",
        "null true",
    ];
    let (reader, [near, plain, operators, dollar, columns, test, null]) = library(w, texts).await;
    let cases: [(&str, &[MessageId]); 22] = [
        ("NEAR", &[near]),
        ("alpha NEAR beta", &[near]),
        ("NEAR(alpha beta)", &[near]),
        ("alpha NEAR/3 beta", &[]),
        ("NOT", &[operators]),
        ("alpha OR not", &[]),
        ("alpha AND beta", &[]),
        ("not OR and", &[operators]),
        ("$where", &[dollar]),
        ("{\"$ne\": \"regex\"}", &[dollar]),
        ("terms:body", &[columns]),
        ("body : rowid", &[columns]),
        ("\"alpha beta\"", &[plain, near]),
        ("\"beta alpha", &[plain, near]),
        ("alph* bet", &[]),
        ("beta*", &[plain, near]),
        ("^alpha", &[plain, near]),
        ("alpha + beta - near", &[near]),
        ("it's", &[test]),
        ("'; DROP TABLE messages; --test", &[]),
        ("null & true | ! <-> :*", &[null]),
        ("%pha", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(found(w, reader, text).await, expected, "{text:?}");
    }
    // what the domain would never hand over must do no harm either
    for hostile in [
        "\"",
        "'",
        "*",
        "\" OR \"",
        "a\" OR terms:\"",
        "\\",
        "$where",
        "%",
        "_",
        ":*",
        "(",
    ] {
        let mut query = search(reader, "alpha");
        query.query.prefix = hostile.to_owned();
        assert_eq!(run(w, &query).await, [], "{hostile:?} as prefix");
        let mut query = search(reader, "alpha");
        query.query.all = vec![hostile.to_owned()];
        assert_eq!(run(w, &query).await, [], "{hostile:?} as term");
    }
}

pub async fn only_live_words_are_found(w: &World) {
    let (reader, [edited, deleted, kept]) =
        library(w, ["apple pie", "apple tart", "apple cake"]).await;
    w.messages()
        .edit(edited, reader, &body("cherry pie"), w.now())
        .await
        .unwrap();
    w.messages().delete(deleted, reader, w.now()).await.unwrap();
    assert_eq!(found(w, reader, "apple").await, [kept]);
    assert_eq!(found(w, reader, "tart").await, []);
    assert_eq!(found(w, reader, "cherry").await, [edited]);
    assert_eq!(found(w, reader, "pie").await, [edited]);
    let page = w
        .messages()
        .search(&search(reader, "cherry"))
        .await
        .unwrap();
    assert_eq!(page.items, [w.message(edited).await]);
}

pub async fn only_the_viewers_conversations_are_searched(w: &World) {
    let [a, b, c] = w.people().await;
    let shared = w.group(a, &[b, c]).await;
    let private = w.direct(a, b).await;
    let in_shared = w.say(shared, a, "secret word").await.id;
    let in_private = w.say(private, a, "secret word").await.id;
    assert_eq!(found(w, a, "secret").await, [in_private, in_shared]);
    assert_eq!(found(w, b, "secret").await, [in_private, in_shared]);
    assert_eq!(found(w, c, "secret").await, [in_shared]);
    assert_eq!(found(w, w.nobody(), "secret").await, []);
    // to name a conversation opens none
    let mut query = search(c, "secret");
    query.conversation_id = Some(private);
    assert_eq!(run(w, &query).await, []);
    w.conversations()
        .remove_member(shared, c, c, w.now())
        .await
        .unwrap();
    assert_eq!(found(w, c, "secret").await, [], "after leaving");
    assert_eq!(found(w, a, "secret").await, [in_private, in_shared]);
    w.conversations()
        .add_members(shared, a, &[c], w.now())
        .await
        .unwrap();
    assert_eq!(found(w, c, "secret").await, [in_shared]);
    w.conversations().delete(shared, a, w.now()).await.unwrap();
    assert_eq!(found(w, a, "secret").await, [in_private]);
}

/// A word said by two users in two conversations: the highest id first.
async fn mixed(w: &World) -> ([UserId; 2], [ConversationId; 2], Vec<Message>) {
    let [a, b] = w.people().await;
    let ids = [w.group(a, &[b]).await, w.direct(a, b).await];
    let mut said = Vec::new();
    for n in 0..12 {
        let by = if n % 3 == 0 { a } else { b };
        said.push(w.say(ids[n / 2 % 2], by, &format!("word number{n}")).await);
        w.say(ids[0], a, "nothing of it").await;
    }
    said.reverse();
    ([a, b], ids, said)
}

pub async fn filters_narrow_what_is_found(w: &World) {
    let ([a, b], [group, direct], said) = mixed(w).await;
    for at in [None, Some(group), Some(direct)] {
        for by in [None, Some(a), Some(b)] {
            let mut query = search(b, "wor");
            query.conversation_id = at;
            query.sender_id = by;
            let expected: Vec<MessageId> = said
                .iter()
                .filter(|m| at.is_none_or(|at| m.conversation_id == at))
                .filter(|m| by.is_none_or(|by| m.sender_id == by))
                .map(|m| m.id)
                .collect();
            assert!(expected.len() >= 2);
            assert_eq!(run(w, &query).await, expected);
        }
    }
}

pub async fn pages_make_the_whole_highest_id_first(w: &World) {
    let ([a, _], [group, _], said) = mixed(w).await;
    for at in [None, Some(group)] {
        let expected: Vec<&Message> = said
            .iter()
            .filter(|m| at.is_none_or(|at| m.conversation_id == at))
            .collect();
        for limit in [1, 2, 3, 5, 6, 11, 12, 13] {
            let pages = walk(limit, async |before, limit: Limit| {
                let query = MessageSearch {
                    conversation_id: at,
                    before,
                    limit,
                    ..search(a, "number word")
                };
                // `number` is no whole term, `word` is
                assert_eq!(w.messages().search(&query).await?.items, []);
                let query = MessageSearch {
                    query: terms::query("word number").unwrap(),
                    ..query
                };
                w.messages().search(&query).await
            })
            .await;
            assert_eq!(
                pages.iter().collect::<Vec<_>>(),
                expected,
                "pages of {limit}"
            );
            w.messages().index(EVER, Limit::of(2)).await.unwrap();
        }
    }
}

pub async fn a_long_text_is_found_by_its_words(w: &World) {
    let long = (0..900)
        .map(|n| format!("w{n}"))
        .collect::<Vec<_>>()
        .join(" ");
    let endless = "x".repeat(300);
    let (reader, [many, one]) = library(w, [&long, &endless]).await;
    assert_eq!(found(w, reader, "w899 w0 w450").await, [many]);
    assert_eq!(found(w, reader, &"x".repeat(40)).await, [one]);
    assert_eq!(
        found(w, reader, &"x".repeat(200)).await,
        [one],
        "both are cut alike"
    );
}
