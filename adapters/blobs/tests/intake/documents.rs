//! Documents, texts, sound and films, and what only looks like them.

use connexus_domain::ports::{MediaFormat, Refusal};

use crate::harness::House;
use crate::samples;

fn not_allowed(found: &'static str) -> Refusal {
    Refusal::TypeNotAllowed { found }
}

#[tokio::test]
async fn an_archive_is_one_whatever_it_is_called() {
    let house = House::plain();
    let refusal = house.refusal(&samples::zip(&["photo.jpg"])).await;
    assert_eq!(refusal, not_allowed("application/zip"));
    let docx = samples::zip(&["[Content_Types].xml", "word/document.xml"]);
    let kept = house.send(&docx).await.unwrap();
    assert_eq!(kept.format, MediaFormat::Docx);
    assert_eq!(kept.original, docx);
    assert!(!kept.format.inline());
    let macros = samples::zip(&[
        "[Content_Types].xml",
        "word/document.xml",
        "word/vbaProject.bin",
    ]);
    assert_eq!(house.refusal(&macros).await, not_allowed("application/zip"));
}

#[tokio::test]
async fn pages_are_no_texts() {
    let house = House::plain();
    for page in [
        "<!doctype html><p>hello",
        "  <script>alert(1)</script>",
        "<!-- text --><iframe src=x>",
    ] {
        assert_eq!(
            house.refusal(page.as_bytes()).await,
            not_allowed("text/html")
        );
    }
    let svg = "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    assert_eq!(
        house.refusal(svg.as_bytes()).await,
        not_allowed("image/svg+xml")
    );
}

#[tokio::test]
async fn a_text_is_a_text_to_its_end() {
    let house = House::plain();
    let mut text = "Grüße, 世界!\r\n".repeat(20_000).into_bytes();
    let kept = house.send(&text).await.unwrap();
    assert_eq!(
        (kept.format, kept.format.inline()),
        (MediaFormat::Text, false)
    );
    assert_eq!(kept.original, text);
    text.push(0);
    assert_eq!(
        house.refusal(&text).await,
        not_allowed("application/octet-stream")
    );
}

#[tokio::test]
async fn a_test_virus_is_a_text_to_those_who_do_not_scan() {
    // in two parts, so that no scanner objects to this file
    let eicar = [
        r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-",
        "ANTIVIRUS-TEST-FILE!$H+H*",
    ];
    let kept = House::plain()
        .send(eicar.concat().as_bytes())
        .await
        .unwrap();
    assert!(!kept.format.inline());
}

#[tokio::test]
async fn an_old_container_is_a_document_only_if_it_holds_one() {
    let mut file = vec![0; 4096];
    file[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    file[30] = 9;
    let refusal = House::plain().refusal(&file).await;
    assert_eq!(refusal, not_allowed("application/x-ole-storage"));
}

#[tokio::test]
async fn a_film_does_not_tell_where_it_was_taken() {
    let house = House::plain();
    let file = samples::mp4(b"vide");
    let kept = house.send(&file).await.unwrap();
    assert_eq!(kept.format, MediaFormat::Mp4);
    assert_eq!(kept.size, Some((640, 360)));
    assert_eq!(kept.duration_ms, Some(2500));
    assert!(!kept.contains("Secret") && !kept.contains("+52.5"));
    assert_eq!(kept.original.len(), file.len());
    assert!(kept.original.ends_with(&[7; 1000]));
    let again = house.send(&kept.original).await.unwrap();
    assert_eq!(again.duration_ms, Some(2500));
}

#[tokio::test]
async fn a_film_without_a_picture_is_sound() {
    let kept = House::plain().send(&samples::mp4(b"soun")).await.unwrap();
    assert_eq!(kept.format, MediaFormat::M4a);
    assert_eq!(kept.size, None);
    assert_eq!(kept.duration_ms, Some(2500));
}

#[tokio::test]
async fn a_film_that_ends_too_soon_is_damaged() {
    let file = samples::mp4(b"vide");
    let house = House::plain();
    for end in [20, 300, file.len() - 1] {
        assert_eq!(house.refusal(&file[..end]).await, Refusal::Damaged, "{end}");
    }
}

#[tokio::test]
async fn a_pdf_is_taken_and_never_shown_in_place() {
    let kept = House::plain().send(b"%PDF-1.7\n%%EOF\n").await.unwrap();
    assert_eq!(
        (kept.format, kept.format.inline()),
        (MediaFormat::Pdf, false)
    );
}
