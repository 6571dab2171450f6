//! The dialect `rooms`.
