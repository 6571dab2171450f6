//! The dialect `secured`.
