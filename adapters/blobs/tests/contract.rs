//! What every store must do, on each of them.

#![allow(clippy::unwrap_used, reason = "to panic is how a test fails")]

#[path = "store/cases.rs"]
mod cases;
#[path = "store/content.rs"]
mod content;
#[path = "store/faults.rs"]
mod faults;
#[path = "store/places.rs"]
mod places;

macro_rules! suite {
    ($place:ident: $($case:ident),* $(,)?) => {
        mod $place {
            $(
                #[tokio::test]
                async fn $case() {
                    let place = crate::places::$place();
                    crate::cases::$case(&*place.store).await;
                    place.is_tidy();
                }
            )*
        }
    };
    ($($place:ident),*) => {
        $(
            suite!(
                $place: what_is_put_is_read,
                parts_are_read,
                what_is_absent_is_no_error,
                the_last_put_stays,
                all_variants_are_deleted,
                a_put_that_fails_leaves_nothing,
                a_put_that_is_dropped_leaves_nothing,
                a_put_that_fails_spares_what_was_there,
                memory_stays_small,
                many_write_at_once,
                trying_it_out_leaves_nothing,
                it_answers,
            );
        )*
    };
}

suite!(file, s3);
