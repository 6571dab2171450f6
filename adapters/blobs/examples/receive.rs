//! Receives files as the server does, and says what it made of them:
//! `cargo run -p connexus-blobs --example receive -- [tcp://127.0.0.1:3310] FILE…`. With the address of a ClamAV
//! daemon, it is asked about each.

use std::error::Error;
use std::sync::Arc;

use connexus_blobs::{Clamd, ClamdAddress, ClamdSettings, Intake, IntakeSettings, Spool};
use connexus_domain::ports::{
    IntakeError, IntakeRules, MalwareScanner, MediaIntake as _, Received, SizeLimits,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let address = files.first().and_then(|first| ClamdAddress::parse(first));
    let mut scanner: Option<Arc<dyn MalwareScanner>> = None;
    if let Some(address) = address {
        files.remove(0);
        scanner = Some(Arc::new(Clamd::new(ClamdSettings::new(address))));
    }
    let spool = Spool::open(std::env::temp_dir().join("connexus-receive"))?;
    let intake = Intake::new(spool, IntakeSettings::default(), scanner);
    for file in files {
        match receive(&intake, std::fs::read(&file)?).await {
            Ok(received) => println!("{file}: {:?}", received.measured()),
            Err(IntakeError::Refused(refusal)) => println!("{file}: refused: {refusal:?}"),
            Err(IntakeError::Failed(error)) => println!("{file}: failed: {error:?}"),
        }
    }
    Ok(())
}

async fn receive(intake: &Intake, bytes: Vec<u8>) -> Result<Received, IntakeError> {
    let rules = IntakeRules {
        max_size: SizeLimits::all(1 << 30),
        only: None,
    };
    let mut upload = intake.begin(rules).await?;
    upload.write(bytes.into()).await?;
    upload.finish().await
}
