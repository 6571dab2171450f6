//! Blobs of attachments: stores, what files are, and what is removed from them.
