//! Forms that bring a file, read as they come.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use connexus_application::files::Unplaced;
use connexus_domain::attachment::{Attachment, AvatarOwner, MediaKind, Purpose};
use connexus_domain::ports::{IntakeError, Refusal};
use futures_util::{Stream, StreamExt as _};

use super::Call;
use crate::refused::{Refused, Result};

/// Text fields that a form may have.
const FIELDS_MAX: usize = 16;
/// Longest text field, in bytes.
const FIELD_MAX: usize = 4 * 1024;
/// What is read on of a form that was refused, in bytes: most clients hear no answer before they have sent
/// everything.
const READ_ON_MAX: usize = 16 * 1024 * 1024;

/// A form that has come whole.
#[derive(Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    file: Option<Unplaced>,
}

impl Form {
    /// A text field that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, text) = fields.find(|(known, _)| known == name)?;
        Some(text.trim()).filter(|text| !text.is_empty())
    }

    /// Its file, stored for this purpose.
    pub async fn store(self, purpose: Purpose) -> Result<Attachment> {
        let file = self.file.ok_or_else(no_file)?;
        let incoming = file.place(purpose).await.map_err(refused)?;
        incoming.finish().await.map_err(refused)
    }
}

fn no_file() -> Refused {
    Refused::said(400, "No file uploaded")
}

/// Reads the form of a request: text fields and one file, in any order, whatever the file's field is called.
/// The file waits on disk for its place to be known; of one kind alone when asked.
pub async fn form(call: &mut Call, only: Option<MediaKind>) -> Result<Form> {
    let payload = call.payload.take().ok_or_else(no_file)?;
    let payload = Rc::new(RefCell::new(payload));
    let patience = call.world.settings.request_timeout;
    let form = read(call, chunks(&payload), only, patience).await;
    let silent = |refused: &Refused| matches!(refused, Refused::Said(408, _));
    if form.as_ref().is_err_and(|refused| !silent(refused)) {
        let rest = read_on(chunks(&payload));
        // whoever is slower than this is not waited for
        let _ = tokio::time::timeout(patience, rest).await;
    }
    form
}

/// Stores the picture that a form brings as that of whoever asks.
pub async fn own_picture(call: &mut Call) -> Result<Attachment> {
    let form = form(call, Some(MediaKind::Image)).await?;
    let picture = form.store(Purpose::Avatar).await?;
    let actor = call.actor()?;
    let owner = AvatarOwner::User(actor.user_id);
    call.app()
        .files
        .make_avatar(actor, picture.id, owner)
        .await?;
    Ok(picture)
}

/// The rest of a body, whoever read the first part of it.
fn chunks(
    payload: &Rc<RefCell<Payload>>,
) -> impl Stream<Item = Result<Bytes, PayloadError>> + use<> {
    let payload = Rc::clone(payload);
    futures_util::stream::poll_fn(move |cx| match payload.try_borrow_mut() {
        Ok(mut payload) => payload.poll_next_unpin(cx),
        Err(_) => Poll::Ready(None),
    })
}

async fn read_on(mut chunks: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin) {
    let mut spare = READ_ON_MAX;
    while let Some(Ok(chunk)) = chunks.next().await {
        match spare.checked_sub(chunk.len()) {
            Some(left) => spare = left,
            None => return,
        }
    }
}

async fn read(
    call: &Call,
    chunks: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    only: Option<MediaKind>,
    patience: Duration,
) -> Result<Form> {
    let mut parts = Multipart::new(call.request.headers(), chunks);
    let mut form = Form::default();
    while let Some(part) = in_time(patience, parts.next()).await? {
        let part = part.map_err(|error| malformed(&error))?;
        let disposition = part.content_disposition();
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = disposition.and_then(|disposition| disposition.get_filename());
        match file_name.map(str::to_owned) {
            // what browsers send for a file that was not chosen
            Some(empty) if empty.is_empty() => {}
            Some(_) if form.file.is_some() => {
                return Err(Refused::said(400, "Too many files: send them one by one"));
            }
            Some(file_name) => {
                form.file = Some(file(call, part, &file_name, only, patience).await?);
            }
            None if form.fields.len() == FIELDS_MAX => {
                return Err(Refused::said(400, "Too many fields"));
            }
            None => form.fields.push((name, text(part, patience).await?)),
        }
    }
    if form.file.is_none() {
        return Err(no_file());
    }
    Ok(form)
}

/// A slow link may take its time, a silent one may not.
async fn in_time<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T> {
    let done = tokio::time::timeout(patience, work).await;
    done.map_err(|_late| Refused::said(408, "The body stopped coming"))
}

fn malformed(error: &MultipartError) -> Refused {
    Refused::said(400, format!("The body must be a multipart form: {error}"))
}

async fn text(mut part: Field, patience: Duration) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(patience, part.next()).await? {
        bytes.extend_from_slice(&chunk.map_err(|error| malformed(&error))?);
        if bytes.len() > FIELD_MAX {
            return Err(Refused::said(400, "Field value too long"));
        }
    }
    String::from_utf8(bytes).map_err(|error| Refused::said(400, format!("Not a text: {error}")))
}

async fn file(
    call: &Call,
    mut part: Field,
    name: &str,
    only: Option<MediaKind>,
    patience: Duration,
) -> Result<Unplaced> {
    let begun = call.app().files.receive(call.actor()?, name, only).await;
    let mut file = begun.map_err(refused)?;
    while let Some(chunk) = in_time(patience, part.next()).await? {
        let chunk = chunk.map_err(|error| malformed(&error))?;
        file.write(chunk).await.map_err(refused)?;
    }
    Ok(file)
}

/// Why a file was not taken, in the words that such backends have for it, and the reason behind them.
fn refused(error: IntakeError) -> Refused {
    match error {
        IntakeError::Failed(error) => Refused::Domain(error),
        IntakeError::Refused(refusal) => {
            let said = match &refusal {
                Refusal::TooLarge { .. } => "File too large",
                Refusal::TypeNotAllowed { .. } => "Invalid file type",
                Refusal::Empty => "No file uploaded",
                _ => "Invalid file",
            };
            Refused::said(400, format!("{said}: {refusal}"))
        }
    }
}
