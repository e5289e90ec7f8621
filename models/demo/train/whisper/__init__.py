"""The demo's Whisper: sentences, the voices that say them, clips, network, training, examination."""
