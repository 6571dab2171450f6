//! The dialect `direct`.
