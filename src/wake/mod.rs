//! The wake button, the status LED and the mute line.
