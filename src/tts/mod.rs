//! Speaking: splitter, voices, levelling and joints.
