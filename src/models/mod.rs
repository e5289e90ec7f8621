//! The manifest of models, and verification against it.
