"""The synthetic mini set: the same everywhere, plausible as audio, and neither trivial nor impossible to separate."""

import numpy as np
import pytest
from scipy.signal import stft
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mgr_helpers.audio import dataset, mini_set, reading
from mgr_helpers.config import CONFIG


@pytest.fixture(scope="module")
def clips():
    return dataset.cut_clips(dataset.load_songs("mini"))


@pytest.mark.parametrize("genre", mini_set.ARRANGERS)
def test_a_song_is_the_same_on_every_call(genre):
    first, again = mini_set.song(genre, 3), mini_set.song(genre, 3)
    assert first.dtype == np.int16 and np.array_equal(first, again)
    assert 12 <= len(first) / CONFIG.sample_rate <= 15
    assert not np.array_equal(first[:1000], mini_set.song(genre, 2)[:1000])


def test_a_song_is_the_same_on_every_machine():
    """Rounded figures of one song: they change with the recipe, or where a machine computes another song."""
    samples = mini_set.song("jazz", 0).astype(float)
    figures = [len(samples), np.abs(samples).max(), samples.std(), np.abs(np.diff(samples)).mean()]
    assert np.allclose(figures, (315544, 7016.0, 1752.277, 251.305), rtol=1e-4)


def test_files_are_the_songs():
    folder = mini_set.folder()
    samples = reading.read_audio(folder / "metal" / "metal.05.wav")
    assert np.array_equal(samples, mini_set.song("metal", 5))
    rows = (folder / "manifest.csv").read_text().splitlines()
    assert rows[0] == "file,artist" and len(rows) == 1 + 5 * mini_set.N_SONGS


@pytest.mark.parametrize("genre, index", [("rock", 0), ("jazz", -1), ("jazz", mini_set.N_SONGS)])
def test_unknown_song(genre, index):
    with pytest.raises(ValueError, match="no song"):
        mini_set.song(genre, index)


def test_disco_has_a_kick_drum_on_every_beat():
    """The kick drum's autocorrelation peaks at a beat of 112 to 130 a minute."""
    song = mini_set.song("disco", 0).astype(float)
    level = np.abs(stft(song, CONFIG.sample_rate, nperseg=512, noverlap=256)[2][1:3]).sum(0)
    onset = np.maximum(0, np.diff(level))
    correlation = np.correlate(onset, onset, "full")[len(onset):]
    lags = (np.arange(len(correlation)) + 1) * 256 / CONFIG.sample_rate
    beat = lags[np.argmax(np.where((lags > 0.4) & (lags < 0.6), correlation, 0))]
    assert 60 / 131 < beat < 60 / 111


def test_levels_overlap_between_genres(clips):
    """Loudness alone must not give the genre away."""
    level = np.log10(clips["audio"].astype(float).std(1) + 1)
    ranges = [np.percentile(level[clips["genre"] == genre], (10, 90)) for genre in range(3)]
    assert max(low for low, _ in ranges) < min(high for _, high in ranges)


def test_a_linear_model_separates_the_genres_but_not_perfectly(clips):
    features = np.stack([_spectral_statistics(clip) for clip in clips["audio"]])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, features, clips["genre"], groups=clips["group"], cv=folds)
    assert 0.80 < np.mean(predicted == clips["genre"]) < 0.99


def _spectral_statistics(clip):
    """Mean and standard deviation over time of log energy in 12 bands, less its mean: no level."""
    power = np.abs(stft(clip.astype(float), nperseg=2048, noverlap=1024)[2]) ** 2
    edges = np.geomspace(4, len(power), 13).astype(int)
    bands = np.log([power[low:high].sum(0) + 1e-3 for low, high in zip(edges[:-1], edges[1:])])
    return np.concatenate([bands.mean(1) - bands.mean(), bands.std(1)])
