//! What is too much, and when that is noticed.

use std::sync::Arc;

use bytes::Bytes;
use connexus_blobs::{IntakeSettings, PictureLimits};
use connexus_domain::Error;
use connexus_domain::ports::{
    IntakeError, IntakeRules, MediaFormat, MediaIntake as _, MediaKind, Refusal, SizeLimits,
    Upload, Verdict,
};

use crate::harness::{House, RULES, Says, refused};
use crate::samples;

#[tokio::test]
async fn a_vast_picture_is_refused_by_its_header() {
    let house = House::plain();
    for (width, height) in [
        (30_000, 30_000),
        (12_001, 1),
        (8000, 8000),
        (u32::MAX, u32::MAX),
    ] {
        let refusal = house.refusal(&samples::vast_png(width, height)).await;
        let expected = Refusal::TooManyPixels {
            width,
            height,
            frames: 1,
        };
        assert_eq!(refusal, expected);
    }
    // within the limits, the same file is merely broken
    let refusal = house.refusal(&samples::vast_png(3000, 3000)).await;
    assert_eq!(refusal, Refusal::Damaged);
    assert_eq!(
        house.refusal(&samples::vast_png(0, 10)).await,
        Refusal::Damaged
    );
}

#[tokio::test]
async fn an_animation_has_an_end() {
    let settings = IntakeSettings {
        pictures: PictureLimits {
            max_frames: 3,
            ..PictureLimits::default()
        },
        ..IntakeSettings::default()
    };
    let house = House::new(settings, None);
    assert!(house.send(&samples::gif(3)).await.is_ok());
    assert!(matches!(
        house.refusal(&samples::gif(4)).await,
        Refusal::TooManyPixels { frames: 4, .. }
    ));
}

#[tokio::test]
async fn decoding_takes_no_more_memory_than_it_may() {
    let settings = IntakeSettings {
        pictures: PictureLimits {
            max_memory: 30_000,
            ..PictureLimits::default()
        },
        ..IntakeSettings::default()
    };
    let house = House::new(settings, None);
    // 100 × 100 × 3 bytes would fit, 200 × 200 do not
    assert!(matches!(
        house.refusal(&samples::png(200, 200, 1)).await,
        Refusal::TooManyPixels { .. }
    ));
}

#[tokio::test]
async fn size_is_limited_while_it_passes() {
    let house = House::plain();
    let rules = IntakeRules {
        max_size: SizeLimits::all(100_000),
        only: None,
    };
    let text = vec![b'a'; 100_000];
    assert!(house.send_by(rules, &text).await.is_ok());

    let mut upload = house.intake.begin(rules).await.unwrap();
    upload.write(text.into()).await.unwrap();
    let over = upload.write(Bytes::from_static(b"a")).await;
    assert_eq!(refused(over), Refusal::TooLarge { limit: 100_000 });
    // and that is its end
    let more = upload.write(Bytes::from_static(b"a")).await;
    assert!(more.is_err());
    assert!(upload.finish().await.is_err());
}

#[tokio::test]
async fn each_kind_has_its_own_limit() {
    let house = House::plain();
    let rules = IntakeRules {
        max_size: SizeLimits {
            image: 10_000_000,
            video: 10_000_000,
            audio: 50_000,
            file: 5_000,
        },
        only: None,
    };
    let text = house.send_by(rules, &vec![b'a'; 5_001]).await;
    assert_eq!(refused(text), Refusal::TooLarge { limit: 5_000 });
    assert!(house.send_by(rules, &samples::mp4(b"vide")).await.is_ok());
    // the same without a picture is sound, which only its end tells
    let sound = house.send_by(rules, &samples::mp4(b"soun")).await;
    assert_eq!(refused(sound), Refusal::TooLarge { limit: 50_000 });
}

#[tokio::test]
async fn an_avatar_is_a_picture() {
    let house = House::plain();
    let rules = IntakeRules {
        only: Some(MediaKind::Image),
        ..RULES
    };
    assert!(house.send_by(rules, &samples::png(10, 10, 1)).await.is_ok());
    let text = house.send_by(rules, b"hello").await;
    assert_eq!(
        refused(text),
        Refusal::TypeNotAllowed {
            found: "text/plain"
        }
    );
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_at_its_beginning() {
    let house = House::plain();
    let mut upload: Box<dyn Upload> = house.intake.begin(RULES).await.unwrap();
    let mut program = vec![0; 5000];
    program[..4].copy_from_slice(b"\x7fELF");
    let found = "application/x-executable";
    let refusal = refused(upload.write(program.into()).await);
    assert_eq!(refusal, Refusal::TypeNotAllowed { found });
}

#[tokio::test]
async fn an_operator_says_what_is_allowed() {
    let settings = IntakeSettings {
        allowed: vec![MediaFormat::Zip],
        ..IntakeSettings::default()
    };
    let house = House::new(settings, None);
    assert!(house.send(&samples::zip(&["a"])).await.is_ok());
    let docx = samples::zip(&["[Content_Types].xml", "word/document.xml"]);
    assert!(matches!(
        house.refusal(&docx).await,
        Refusal::TypeNotAllowed { .. }
    ));
    assert!(matches!(
        house.refusal(b"hello").await,
        Refusal::TypeNotAllowed {
            found: "text/plain"
        }
    ));
}

#[tokio::test]
async fn nothing_is_refused() {
    assert_eq!(House::plain().refusal(b"").await, Refusal::Empty);
}

#[tokio::test]
async fn only_what_a_scanner_calls_clean_is_taken() {
    let house = |says| House::new(IntakeSettings::default(), Some(Arc::new(Says(says))));
    assert!(house(Ok(Verdict::Clean)).send(b"hello").await.is_ok());
    let signature = "Eicar-Test".to_owned();
    let infected = house(Ok(Verdict::Infected {
        signature: signature.clone(),
    }));
    assert_eq!(
        infected.refusal(b"hello").await,
        Refusal::Malware { signature }
    );
    let away = Error::unavailable(std::io::Error::other("away"));
    let result = house(Err(away)).send(b"hello").await;
    assert!(matches!(
        result,
        Err(IntakeError::Failed(Error::Unavailable { .. }))
    ));
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let house = House::plain();
    let mut upload = house.intake.begin(RULES).await.unwrap();
    upload.write(vec![b'a'; 200_000].into()).await.unwrap();
    assert!(house.is_empty());
    drop(upload);
    assert!(house.is_empty());
}
