//! Sound: devices, the threads that serve them, rings, resampling, VAD.
