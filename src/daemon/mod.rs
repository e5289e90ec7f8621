//! What `elio run` starts and stops.
