"""espeak-ng's library: speech with the times of its words and phonemes.

The command line gives the sound alone; the library tells, while it speaks, at which sample each word and each phoneme
begins, so nothing has to be aligned afterwards. One voice at a time: the library keeps its state in the process.
"""

import ctypes

import numpy as np

AUDIO_OUTPUT_SYNCHRONOUS, PHONEME_EVENTS_IN_IPA = 2, 3
RATE, PITCH, RANGE = 1, 3, 4
WORD, PHONEME = 1, 7
POSITION_CHARACTER, CHARACTERS_UTF8 = 1, 1


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_library = ctypes.CDLL("libespeak-ng.so.1")
_sound, _words, _phonemes = [], [], []


@_CALLBACK
def _heard(samples, count, events):
    if samples and count > 0:
        _sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
    index = 0
    while events[index].type != 0:
        event = events[index]
        if event.type == WORD:
            _words.append((event.text_position - 1, event.length, event.audio_position / 1000))
        elif event.type == PHONEME:
            _phonemes.append((event.audio_position / 1000, event.id.string.decode("utf-8", "ignore")))
        index += 1
    return 0


# Samples a second of everything that `say` returns. Synchronous: the library's own thread is asked by naps of 20 ms.
SAMPLE_RATE = _library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None, PHONEME_EVENTS_IN_IPA)
_library.espeak_SetSynthCallback(_heard)


def say(text, voice, speed=150, pitch=50, pitch_range=50):
    """Speaks `text`: int16 samples [N] at SAMPLE_RATE, words [(first character, characters, begin in s)], and
    phonemes [(begin in s, IPA)]; an empty phoneme is a pause. `speed` in words a minute, the pitches 0 to 99."""
    if _library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice}")
    for parameter, value in ((RATE, speed), (PITCH, pitch), (RANGE, pitch_range)):
        _library.espeak_SetParameter(parameter, value, 0)
    for told in (_sound, _words, _phonemes):
        told.clear()
    line = text.encode()
    _library.espeak_Synth(line, len(line) + 1, 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None)
    sound = np.concatenate(_sound) if _sound else np.zeros(0, np.int16)
    return sound, list(_words), list(_phonemes)
