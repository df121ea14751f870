"""Architectures, normalisation and training."""

import numpy as np
import pytest

from mgr_helpers.config import CONFIG
from mgr_helpers.features import mfcc_q15
from mgr_helpers.model.network import build_model, class_weights, fit_normalisation, predict, train


@pytest.fixture(scope="module")
def task():
    """Windows that a network can learn: in each genre another coefficient is raised."""
    rng = np.random.default_rng(1)
    genre = rng.integers(0, 3, 300)
    x = rng.normal(size=(300, CONFIG.n_frames, CONFIG.n_mfcc)).astype(np.float32)
    x[np.arange(300), :, genre] += 1.0
    return x, genre


def test_normalisation_gives_zero_mean_and_unit_deviation():
    values = np.random.default_rng(0).normal(3, 2, (50, CONFIG.n_frames, CONFIG.n_mfcc))
    raw = (values * 2**22).astype(np.int32)
    mean, std = fit_normalisation(raw)
    x = mfcc_q15.normalise(raw, mean, std)
    assert x.dtype == np.float32
    assert x.mean(axis=(0, 1)) == pytest.approx(np.zeros(CONFIG.n_mfcc), abs=1e-5)
    assert x.std(axis=(0, 1)) == pytest.approx(np.ones(CONFIG.n_mfcc), abs=1e-5)


def test_a_constant_coefficient_does_not_divide_by_zero():
    mean, std = fit_normalisation(np.full((4, CONFIG.n_frames, CONFIG.n_mfcc), 2**22, np.int32))
    assert np.all(mean == 1) and np.all(std > 0)


def test_class_weights_make_all_genres_count_the_same():
    weights = class_weights(np.array([0, 0, 0, 0, 1, 1, 2]), 3)
    assert weights[0] * 4 == pytest.approx(weights[1] * 2) == pytest.approx(weights[2])
    with pytest.raises(ValueError, match="genre number 1"):
        class_weights(np.array([0, 2]), 3)


def test_other_classes_do_not_change_the_weights_of_genres():
    genre = np.array([0, 0, 1, 2])
    assert class_weights(np.append(genre, [3, 3, 4]), 3) == class_weights(genre, 3)


def test_an_unknown_architecture_is_an_error():
    with pytest.raises(ValueError, match="choose one of"):
        build_model("transformer")


@pytest.mark.parametrize("name", ["lstm2", "lstm_mean", "lstm_many", "pooling"])
def test_each_architecture_gives_probabilities(name, task):
    network = build_model(name)
    p = predict(network, task[0][:7])
    assert network.name == name and p.shape == (7, 3)
    assert p.sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)
    assert predict(network, task[0][:0]).shape == (0, 3)
    assert predict(build_model(name, n_classes=5), task[0][:7]).shape == (7, 5)


def test_training_learns_and_the_same_seed_gives_the_same_network(task):
    x, genre = task
    results = []
    for _ in range(2):
        network = build_model("pooling", seed=5)
        curves = train(network, x[:200], genre[:200], (x[200:], genre[200:]), epochs=3)
        results.append(predict(network, x[200:]))
    assert set(curves) == {"loss", "accuracy", "val_loss", "val_accuracy"} and len(curves["loss"]) == 3
    assert (results[0].argmax(axis=1) == genre[200:]).mean() > 0.9
    assert results[0] == pytest.approx(results[1], abs=1e-4)


def test_training_stops_early_and_keeps_the_best_epoch(task):
    x, genre = task
    network = build_model("pooling", seed=5)
    random_genre = np.random.default_rng(0).permutation(genre[200:])  # nothing that validation could learn
    curves = train(network, x[:200], genre[:200], (x[200:], random_genre), epochs=30, patience=2)
    assert len(curves["loss"]) < 30
    accuracy = (predict(network, x[200:]).argmax(axis=1) == random_genre).mean()
    assert accuracy == pytest.approx(max(curves["val_accuracy"]), abs=1e-6)
