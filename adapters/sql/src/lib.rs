//! What the adapters of SQL databases share.

pub mod parts;
