//! Addresses of files that pages can fetch: whole ones, for a front end may stand elsewhere, and signed, for an
//! `<img>` cannot send a token.

use std::sync::Arc;

use connexus_application::Connexus;
use connexus_domain::attachment::{Attachment, LINK_START, of_link};
use connexus_domain::ports::Variant;
use connexus_domain::{AttachmentId, User};

use crate::refused::Refused;

/// Makes addresses under one base.
#[derive(Clone)]
pub struct Links {
    app: Arc<Connexus>,
    base: Arc<str>,
}

impl Links {
    /// Of a server that clients reach at `base`, as in `https://chat.example`.
    pub fn new(app: Arc<Connexus>, base: &str) -> Self {
        Self {
            app,
            base: base.trim_end_matches('/').into(),
        }
    }

    /// Where a file is.
    pub fn file(&self, id: AttachmentId) -> String {
        self.of(id, Variant::Original)
    }

    /// Where the larger thumbnail of a picture is, if it has one.
    pub fn thumbnail(&self, file: &Attachment) -> Option<String> {
        file.thumbnails
            .then(|| self.of(file.id, Variant::ThumbLarge))
    }

    fn of(&self, id: AttachmentId, variant: Variant) -> String {
        let path = self.app.files.link(id, variant).unwrap_or_else(|error| {
            Refused::Domain(error).log();
            // with a token it can still be fetched
            connexus_domain::attachment::link(id)
        });
        format!("{}{path}", self.base)
    }

    /// A picture of somebody or of a group: one that was uploaded, or one from elsewhere as it is.
    pub fn picture(&self, url: Option<&str>) -> Option<String> {
        let url = url?;
        Some(of_link(url).map_or_else(|| url.to_owned(), |id| self.file(id)))
    }

    /// The picture of a user.
    pub fn picture_of(&self, user: &User) -> Option<String> {
        self.picture(user.avatar_url.as_deref())
    }
}

/// The file that an address names which was made here.
pub fn file_of(address: &str) -> Option<AttachmentId> {
    let path = &address[address.find(LINK_START)?..];
    let end = path.find(['?', '#']).unwrap_or(path.len());
    of_link(&path[..end])
}

/// What a picture is to be changed to: front ends send a whole profile back, and the address in it that
/// expires is no change, whoever made it.
pub fn changed_picture(address: Option<String>) -> Option<String> {
    address.filter(|address| file_of(address).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ours_names_its_file() {
        let id = "0190a0b4-0000-7000-8000-000000000001";
        for address in [
            format!("/v1/attachments/{id}"),
            format!("http://127.0.0.1:5000/v1/attachments/{id}?expires=1&signature=x"),
            format!("https://chat.example/v1/attachments/{id}#top"),
        ] {
            let file = file_of(&address).unwrap();
            assert_eq!(file.to_string(), id, "{address}");
            assert_eq!(changed_picture(Some(address)), None);
        }
        for address in ["", "/x.png", "https://a.example/v1/attachments/x", "/v1/"] {
            assert_eq!(file_of(address), None, "{address}");
            let same = Some(address.to_owned());
            assert_eq!(changed_picture(Some(address.to_owned())), same);
        }
        assert_eq!(changed_picture(None), None);
    }
}
