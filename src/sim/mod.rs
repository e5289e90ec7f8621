//! The simulated Claude API.
