//! Hearing: Whisper, warm on its own thread.
