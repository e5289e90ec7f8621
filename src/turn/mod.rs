//! One turn: the state machine, and the runner that moves sound and words for it.
