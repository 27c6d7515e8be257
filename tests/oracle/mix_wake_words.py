"""Makes a long recording for the wake-word benchmark: the word among other words and noise, with its labels.

    python mix_wake_words.py CORPUS OUT [SECONDS [SEED]]

OUT/sww01 gets mixed.wav, 16 bits at 16 kHz, and mixed_test.json as the official runner reads it. The word comes from
data/sww, other words from data/fsdd (spoken digits at 8 kHz, interpolated) and data/kws_td_samples (commands).
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np

RATE = 16_000
# Loudness of clips, and how far the noise lies below them.
LOUDEST, SOFTEST, NOISE = 0.5, 0.1, 0.01
# One clip in so many is the word; between clips it is quiet for so many seconds.
WORD_EVERY, QUIET = 6, (0.5, 2.0)


def clip(path):
    """The first channel of a .wav file, or raw samples, at RATE, as loud as 1."""
    if path.suffix == ".bin":
        samples, rate = np.fromfile(path, "<i2"), RATE
    else:
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[:: file.getnchannels()]
    at = np.arange(0, len(samples) - 1, rate / RATE)
    samples = np.interp(at, np.arange(len(samples)), samples)
    return samples / max(1.0, np.abs(samples).max())


def spoken(samples):
    """First and last sample of what is loud, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return loud[0] / RATE, (loud[-1] + 1) / RATE


def main(corpus, out, seconds=120, seed=1):
    random = np.random.default_rng(seed)
    data = Path(corpus) / "data"
    word = clip(data / "sww" / "marvin_617de221_0.wav")
    # Among the unknown words is the word itself.
    commands = [path for path in (data / "kws_td_samples").glob("*.bin") if "Unknown" not in path.name]
    others = sorted([*(data / "fsdd").glob("*.wav"), *commands])
    mixed = NOISE * random.standard_normal(seconds * RATE)
    words, at = [], 1.0
    while True:
        is_word = random.integers(WORD_EVERY) == 0
        samples = word if is_word else clip(others[random.integers(len(others))])
        start = int(at * RATE)
        if start + len(samples) > len(mixed):
            break
        mixed[start : start + len(samples)] += random.uniform(SOFTEST, LOUDEST) * samples
        if is_word:
            words.append([start / RATE + moment for moment in spoken(samples)])
        at = (start + len(samples)) / RATE + random.uniform(*QUIET)
    folder = Path(out) / "sww01"
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / "mixed.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((32767 * mixed.clip(-1, 1)).astype("<i2").tobytes())
    test = {"wav_file": "mixed.wav", "sample_rate": RATE, "length_sec": float(seconds), "detection_windows": words}
    (folder / "mixed_test.json").write_text(json.dumps([test], indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
