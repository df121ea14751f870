"""A small synthetic set of disco, jazz and metal, so that every notebook runs anywhere in minutes.

A deterministic generator: additive tones, filtered noise and distortion, arranged by each genre's rules of tempo,
drums, bass and harmony. Two songs share an "artist" (timbre and mix), so that splits can be made by artist.
**It is synthetic: a number measured on it says nothing about real music.**

Notebooks: 00, 01, 02.
"""

import csv
import hashlib
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, sosfilt
from tqdm.auto import tqdm

from ..config import CONFIG, DATA
from ..host.files import build_whole

RATE = CONFIG.sample_rate
N_SONGS = 20  # a genre
SONGS_PER_ARTIST = 2
SEED = 7
MINOR, MAJOR, MINOR7, MAJOR7, DOMINANT = (0, 3, 7), (0, 4, 7), (0, 3, 7, 10), (0, 4, 7, 11), (0, 4, 7, 10)


def song(genre: str, index: int) -> np.ndarray:
    """One song of the mini set, the same on every call: 12 to 15 seconds, int16 mono at 22050 Hz.

    Songs 0 and 1 of a genre are by its first artist, 2 and 3 by the second, and so on.

    Raises
    ------
    ValueError
        For a genre or an index that the mini set doesn't have.
    """
    if genre not in ARRANGERS or not 0 <= index < N_SONGS:
        raise ValueError(f"no song {index} of {genre!r} in the mini set: it has 0 to {N_SONGS - 1} "
                         f"of {', '.join(ARRANGERS)}")
    code = list(ARRANGERS).index(genre)
    artist = np.random.default_rng([SEED, code, index // SONGS_PER_ARTIST])
    rng = np.random.default_rng([SEED, code, index // SONGS_PER_ARTIST, index])
    n = int(rng.uniform(12, 15) * RATE)
    tracks = ARRANGERS[genre](artist, rng, n)
    return _master(_mix(tracks, artist, rng, n), artist, rng)


def folder() -> Path:
    """The mini set on disk, `data/mini/`: WAV files by genre, and a manifest.csv that names each song's artist.

    Written on first use (about 15 s), and again when this file changes.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return build_whole(DATA / "mini", _write, recipe)


def _write(target: Path) -> None:
    rows = []
    progress = tqdm([(g, i) for g in ARRANGERS for i in range(N_SONGS)], desc="making the mini set", unit="song")
    for genre, index in progress:
        name = f"{genre}/{genre}.{index:02d}.wav"
        (target / genre).mkdir(exist_ok=True)
        soundfile.write(target / name, song(genre, index), RATE)
        rows.append((name, f"{genre} artist {index // SONGS_PER_ARTIST}"))
    with open(target / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([("file", "artist"), *rows])


# --- sounds: float arrays, any length ---------------------------------------------------------------------------------

def _hz(midi: float) -> float:
    return 440.0 * 2 ** ((midi - 69) / 12)


def _tone(midi, seconds, harmonics, decay, attack=0.004, vibrato=0.0):
    """A sum of harmonics: rises in `attack` seconds, falls with time constant `decay`, ends after `seconds`."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * _hz(midi) * t + vibrato * np.sin(2 * np.pi * 5.3 * t) * np.minimum(1, 3 * t)
    audible = harmonics[:max(1, int(0.45 * RATE / _hz(midi)))]
    wave = sum(level * np.sin(k * phase) for k, level in enumerate(audible, 1))
    return wave * np.exp(-t / decay) * np.minimum(1, t / attack) * np.minimum(1, (seconds - t) / 0.01)


def _harmonics(tilt: float, count: int = 16, even: float = 1.0) -> np.ndarray:
    """Levels of harmonics that fall as k ** -tilt; `even` scales the even ones (0: hollow, as a square wave)."""
    k = np.arange(1, count + 1)
    return k ** -tilt * np.where(k % 2, 1.0, even)


def _filter(x, low, high):
    return sosfilt(butter(2, [low, min(high, 0.49 * RATE)], "bandpass", fs=RATE, output="sos"), x)


def _noise(rng, seconds, low, high, decay):
    t = np.arange(int(seconds * RATE)) / RATE
    return 2 * _filter(rng.standard_normal(len(t)), low, high) * np.exp(-t / decay)


def _kick(artist):
    t = np.arange(int(0.25 * RATE)) / RATE
    low, click = artist.uniform(42, 60), artist.uniform(60, 200)
    phase = 2 * np.pi * (low * t + click * 0.02 * (1 - np.exp(-t / 0.02)))
    return np.sin(phase) * np.exp(-t / artist.uniform(0.06, 0.12))


def _snare(artist, low=200, high=9000):
    body = _tone(artist.uniform(52, 57), 0.2, (1, 0.4), 0.05)
    return 0.6 * body + _noise(artist, 0.2, low, high, artist.uniform(0.04, 0.1))


def _place(track, sound, seconds, level=1.0):
    start = int(seconds * RATE)
    end = min(len(track), start + len(sound))
    if start < end:
        track[start:end] += level * sound[:end - start]


# --- genres: each returns its tracks {name: float array (n,)} ---------------------------------------------------------

def _disco(artist, rng, n):
    """Four on the floor at 112 to 130 beats a minute, off-beat open hi-hat, octave bass, strings and clavinet."""
    beat, key = 60 / rng.uniform(112, 130), rng.integers(40, 52)
    chords = [(key + root, kind) for root, kind in PROGRESSIONS["disco"][rng.integers(3)]]
    tracks = {name: np.zeros(n) for name in ("drums", "bass", "strings", "clav")}
    kick, snare, hat, pluck, bow, bass, muted = _disco_sounds(artist)
    for b in range(int(n / RATE / beat) + 1):
        now, (root, kind) = b * beat, chords[b // 4 % len(chords)]
        _place(tracks["drums"], kick, now, 1.2)
        _place(tracks["drums"], hat, now + beat / 2, rng.uniform(0.35, 0.6))
        _place(tracks["drums"], snare, now, 0.55 * (b % 2))
        for half in (0, 1):
            note = _tone(root - 12 + 12 * half, 0.45 * beat, bass, 0.3)
            _place(tracks["bass"], note, now + half * beat / 2, rng.uniform(0.7, 0.9))
        for quarter in range(4):
            if not muted[(4 * b + quarter) % 8]:
                chop = sum(_tone(root + 12 + step, 0.12, pluck, 0.06) for step in kind[:3])
                _place(tracks["clav"], chop, now + quarter * beat / 4, rng.uniform(0.1, 0.25))
        if b % 4 == 0:
            pad = sum(_tone(root + 24 + step, 4 * beat, bow, 5, 0.15, 0.3) for step in kind)
            _place(tracks["strings"], pad, now, 0.16)
    return tracks


def _disco_sounds(artist):
    kick, snare = _kick(artist), _snare(artist)
    hat = _noise(artist, 0.16, artist.uniform(4000, 7000), 10500, artist.uniform(0.04, 0.08))
    pluck, bow = _harmonics(artist.uniform(0.7, 1.2), even=artist.uniform(0.3, 1)), _harmonics(artist.uniform(0.9, 1.5))
    return kick, snare, hat, pluck, bow, _harmonics(artist.uniform(1.1, 1.8)), artist.random(8) < 0.35


def _jazz(artist, rng, n):
    """Swing at 90 to 200 beats a minute: ride, brushes, walking bass, seventh chords in ii-V-I, a reed that sings."""
    beat, key = 60 / rng.uniform(90, 200), rng.integers(45, 57)
    chords = [(key + root, kind) for root, kind in PROGRESSIONS["jazz"][rng.integers(3)]]
    tracks = {name: np.zeros(n) for name in ("drums", "bass", "piano", "reed")}
    ride, brush, electric, horn, bass = _jazz_sounds(artist)
    melody = 0
    for b in range(int(n / RATE / beat) + 1):
        now, (root, kind) = b * beat, chords[b // 4 % len(chords)]
        _place(tracks["drums"], ride, now, rng.uniform(0.2, 0.35))
        _place(tracks["drums"], ride, now + beat * 0.66, rng.uniform(0.1, 0.25) * (b % 2))
        _place(tracks["drums"], brush, now, rng.uniform(0.3, 0.7) * (b % 2))
        walk = root - 12 + rng.choice(kind) + (rng.integers(-1, 2) if b % 4 == 3 else 0)
        _place(tracks["bass"], _tone(walk, 0.9 * beat, bass, 0.4), now, rng.uniform(0.7, 1.0))
        if rng.random() < 0.45:
            comp = sum(_tone(root + 12 + step, 0.8 * beat, electric, 0.5) for step in (*kind[1:], 14))
            _place(tracks["piano"], comp, now + beat * rng.choice((0, 0.66)), rng.uniform(0.12, 0.22))
        if rng.random() < 0.75:
            melody = np.clip(melody + rng.integers(-2, 3), -3, 6)
            pitch = root + 24 + kind[melody % 4] + 12 * (melody // 4)
            length = beat * rng.choice((0.33, 0.66, 1, 2))
            sung = _tone(pitch, length, horn, 2, 0.04, 0.5) + 0.1 * _noise(rng, length, 1000, 6000, 0.3)
            _place(tracks["reed"], sung, now + beat * rng.choice((0, 0.66)), rng.uniform(0.3, 0.5))
    return tracks


def _jazz_sounds(artist):
    ride = _noise(artist, 0.35, artist.uniform(3000, 6000), 10500, 0.1) + 0.3 * _tone(98, 0.35, (1, 0.5), 0.1)
    brush = _noise(artist, 0.2, 800, 7000, 0.08) * np.hanning(int(0.2 * RATE))
    electric = _harmonics(artist.uniform(1.6, 2.4), 8)
    horn = _harmonics(artist.uniform(0.9, 1.7), even=artist.uniform(0.2, 1))
    bass = _harmonics(artist.uniform(1.5, 2.2), 8)
    return ride, brush, electric, horn, bass


def _metal(artist, rng, n):
    """Palm-muted power chords through tanh distortion, double kick, loud cymbals: fast, or a slow chug."""
    beat, key = 60 / rng.choice((rng.uniform(85, 110), rng.uniform(140, 200))), rng.integers(35, 43)
    riff = key + rng.choice((0, 0, 0, 1, 3, 5, 6, 7), (4, 8))
    mute, double = rng.random((4, 8)) < 0.6, rng.random() < 0.6
    tracks = {name: np.zeros(n) for name in ("drums", "bass", "guitar")}
    kick, snare = _kick(artist), _snare(artist, 150)
    crash = _noise(artist, 1.0, artist.uniform(2000, 4000), 10500, artist.uniform(0.2, 0.5))
    string, drive = _harmonics(artist.uniform(0.8, 1.2), 24), artist.uniform(4, 25)
    for e in range(2 * int(n / RATE / beat) + 2):
        now, bar, step = e * beat / 2, e // 8, e % 8
        root, muted = riff[bar % 4, step], mute[bar % 4, step]
        _place(tracks["drums"], kick, now, 1.0 if double or step % 4 in (0, 3) else 0)
        _place(tracks["drums"], kick, now + beat / 4, 0.8 * double)
        _place(tracks["drums"], snare, now, 1.0 * (step % 4 == 2))
        _place(tracks["drums"], crash, now, (0.7 if step == 0 else 0.25) * (step % 2 == 0))
        _place(tracks["bass"], _tone(root - 12, beat / 2, string[:8], 0.5), now, 0.5)
        chord = sum(_tone(root + up, beat * (0.3 if muted else 0.5), string, 0.06 if muted else 1) for up in (0, 7, 12))
        _place(tracks["guitar"], chord, now, rng.uniform(0.4, 0.6))
    tracks["guitar"] = 0.7 * _filter(np.tanh(drive * tracks["guitar"]), 90, artist.uniform(3500, 7000))
    return tracks


PROGRESSIONS = {  # of (semitones above the key, chord), four beats each
    "disco": [[(0, MINOR7), (5, DOMINANT)],
              [(0, MINOR), (8, MAJOR7), (10, MAJOR), (7, MINOR7)],
              [(0, MAJOR7), (9, MINOR7)]],
    "jazz": [[(2, MINOR7), (7, DOMINANT), (0, MAJOR7), (9, DOMINANT)],  # ii-V-I
             [(0, MINOR7), (5, DOMINANT), (10, MAJOR7), (3, MAJOR7)],
             [(0, DOMINANT), (5, DOMINANT), (0, DOMINANT), (7, DOMINANT)]],  # blues
}
def _waltz(artist, rng, n):
    """Three beats a bar at 130 to 190 beats a minute: a bass, two chords, an accordion's tune in thirds. No genre."""
    beat, key = 60 / rng.uniform(130, 190), rng.integers(45, 57)
    tracks = {name: np.zeros(n) for name in ("bass", "chords", "tune")}
    reed, bass = _harmonics(artist.uniform(0.5, 0.9), even=artist.uniform(0.4, 1)), _harmonics(1.6, 8)
    for b in range(int(n / RATE / beat) + 1):
        root = key + (0, 5, 7, 0)[b // 6 % 4]
        _place(tracks["bass"], _tone(root - 12, beat, bass, 0.3), b * beat, 0.9 * (b % 3 == 0))
        chord = sum(_tone(root + step, 0.5 * beat, reed, 0.2) for step in MAJOR)
        _place(tracks["chords"], chord, b * beat, 0.2 * (b % 3 > 0))
        note = root + 12 + MAJOR[rng.integers(3)]
        _place(tracks["tune"], _tone(note, beat, reed, 2, 0.03, 0.3) + _tone(note + 4, beat, reed, 2, 0.03), b * beat, 0.4)
    return tracks


def _bells(artist, rng, n):
    """Slow bells over a drone, no drums: nothing of the genres' rhythm. No genre either."""
    beat, key = 60 / rng.uniform(50, 90), rng.integers(40, 60)
    tracks = {name: np.zeros(n) for name in ("bells", "drone")}
    metal, drone = (1, 0, 0.6, 0, 0.4, 0, 0, 0.3), _harmonics(artist.uniform(1.2, 2), 8)
    for b in range(2 * int(n / RATE / beat) + 1):
        step = (0, 2, 4, 7, 9)[rng.integers(5)]
        _place(tracks["bells"], _tone(key + 24 + step, 3 * beat, metal, artist.uniform(0.6, 1.5)), b * beat / 2, 0.6)
        if b % 8 == 0:
            _place(tracks["drone"], _tone(key, 4 * beat, drone, 6, 0.3, 0.2), b * beat / 2, 0.5)
    return tracks


OTHERS = {"waltz": _waltz, "bells": _bells}  # music that is none of the genres
ARRANGERS = {"disco": _disco, "jazz": _jazz, "metal": _metal, **OTHERS}


# --- mix --------------------------------------------------------------------------------------------------------------

def _mix(tracks, artist, rng, n):
    """Sum of the tracks at the artist's levels; in each quarter of the song one instrument may rest."""
    mix = np.zeros(n)
    names = list(tracks)
    resting = [rng.choice(names) if rng.random() < 0.6 else None for _ in range(4)]
    for name in names:
        level = artist.uniform(0.5, 1.0)
        for quarter, rests in enumerate(resting):
            if name != rests:
                part = slice(quarter * n // 4, (quarter + 1) * n // 4)
                mix[part] += level * tracks[name][part]
    return mix


def _master(mix, artist, rng):
    """The room and the tape: tone control, hiss and level, then int16."""
    warmth = artist.uniform(0.0, 0.8)
    toned = (1 - warmth) * mix + warmth * _filter(mix, artist.uniform(40, 90), artist.uniform(1500, 4500))
    toned = toned / np.max(np.abs(toned))
    toned += 10 ** artist.uniform(-4, -2.2) * rng.standard_normal(len(mix))
    peak = 10 ** (rng.uniform(-18, -0.5) / 20)
    return np.round(32767 * peak * toned / np.max(np.abs(toned))).astype(np.int16)
