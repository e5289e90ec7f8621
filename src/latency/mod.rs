//! The latency record: instants, derivation, and its ways out.
