//! Anything at all is either taken or refused: nothing panics, nothing fails.

use connexus_domain::ports::{IntakeError, MediaIntake as _};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::runtime::Runtime;

use crate::harness::{House, RULES};
use crate::samples;

fn files() -> Vec<Vec<u8>> {
    vec![
        samples::jpeg(40, 30, 6),
        samples::png(40, 30, 1),
        samples::webp(40, 30, 3),
        samples::gif(2),
        samples::mp4(b"vide")[..600].to_vec(),
        samples::zip(&["[Content_Types].xml", "word/document.xml"]),
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0abc".to_vec(),
        b"OggS\0\x02\0\0\0\0\0\0\0\0ABCD\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0".to_vec(),
        b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x44".to_vec(),
        b"\x1a\x45\xdf\xa3\x84\x42\x82\x81w\x18\x53\x80\x67\xff".to_vec(),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
        vec![],
    ]
}

async fn survives(file: Vec<u8>) -> Result<(), TestCaseError> {
    let house = House::plain();
    let mut upload = house.intake.begin(RULES).await.unwrap();
    let received = match upload.write(file.into()).await {
        Ok(()) => upload.finish().await,
        Err(error) => Err(error),
    };
    match received {
        Ok(_) | Err(IntakeError::Refused(_)) => Ok(()),
        Err(error) => Err(TestCaseError::fail(format!("{error:?}"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn noise_is_survived(file in select(files()), noise in prop::collection::vec(any::<u8>(), 0..3000)) {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(survives([file, noise].concat()))?;
    }

    #[test]
    fn broken_files_are_survived(
        mut file in select(files()),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..12),
        end in any::<Index>(),
        cut in any::<bool>(),
    ) {
        if file.is_empty() {
            return Ok(());
        }
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if cut {
            file.truncate(end.index(file.len()) + 1);
        }
        let runtime = Runtime::new().unwrap();
        runtime.block_on(survives(file))?;
    }
}
