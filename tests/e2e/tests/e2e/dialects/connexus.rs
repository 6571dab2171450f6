//! The dialect `connexus`.
