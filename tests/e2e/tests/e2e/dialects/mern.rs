//! The dialect `mern`.
