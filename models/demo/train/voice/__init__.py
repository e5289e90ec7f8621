"""The demo voices: a network that speaks phonemes (Piper's interface) and one that reads letters (MMS-TTS's)."""
