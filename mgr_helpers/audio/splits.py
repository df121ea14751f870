"""Which clips train, validate and test a model: by artist, by fold, and the random split that leaks.

Used by notebooks/02_prepare_dataset.ipynb.
"""

from __future__ import annotations

import re

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from ..config import CONFIG, Config

PARTS = ("train", "validation", "test")
GTZAN_NAME = re.compile(r"([a-z]+)\.(\d{5})")  # disco.00001


# Splits --------------------------------------------------------------------------------------------------------------
def split_by_group(clips: dict, seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """Train, validation and test (about 60, 20 and 20 %) that share no group, each with every genre.

    scikit-learn's StratifiedGroupKFold deals the groups into folds; of several deals and choices of the test and the
    validation fold, the one whose parts are nearest to the wanted share of every genre is taken. (The choice sees only
    genres and groups, never audio.)

    Returns
    -------
    str array, shape (n_clips,)
        "train", "validation" or "test".

    Raises
    ------
    ValueError
        When a genre has fewer than three groups; the message names it.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    _check_groups(clips, 3, config)
    for n_folds in (5, 4, 3):
        best = min(_deals(clips, n_folds, seed, config), key=lambda deal: deal[0], default=(np.inf, None))
        if np.isfinite(best[0]):
            return best[1]
    raise ValueError("found no split that gives every part every genre without sharing an artist: add artists")


def _deals(clips: dict, n_folds: int, seed: int, config: Config):
    """Pairs (imbalance, part of each clip) of twenty deals, for every choice of test and validation fold."""
    for trial in range(20):
        fold = _deal(clips, n_folds, 1000 * seed + trial)
        for test in range(n_folds):
            for validation in set(range(n_folds)) - {test}:
                part = np.where(fold == test, 2, np.where(fold == validation, 1, 0))
                share = np.array([1 - 2 / n_folds, 1 / n_folds, 1 / n_folds])
                yield _imbalance(clips["genre"], part, share, config), np.array(PARTS)[part]


def _deal(clips: dict, n_folds: int, seed: int) -> np.ndarray:
    fold = np.zeros(len(clips["genre"]), int)
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(folds.split(clips["genre"], clips["genre"], clips["group"])):
        fold[test] = number
    return fold


def _imbalance(genre: np.ndarray, part: np.ndarray, share: np.ndarray, config: Config) -> float:
    """Largest ratio, as a logarithm, of a genre's share in a part to the wanted one; infinite where one is absent."""
    counts = np.zeros((len(config.genres), len(share)))
    np.add.at(counts, (genre, part), 1)
    with np.errstate(divide="ignore"):
        return float(np.abs(np.log(counts / counts.sum(1, keepdims=True) / share)).max())


def _check_groups(clips: dict, needed: int, config: Config) -> None:
    for index, genre in enumerate(config.genres):
        groups = np.unique(clips["group"][clips["genre"] == index])
        if len(groups) < needed:
            raise ValueError(f"{genre} has {len(groups)} artists or songs ({', '.join(groups)}), a split that shares "
                             f"none needs {needed}: add songs of other artists")


def folds_by_group(clips: dict, n_folds: int = 5, seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """Number of the fold of each clip, for cross-validation: no group in two folds, every genre in each.

    Returns
    -------
    int array, shape (n_clips,)
        0 to n_folds - 1. Test on `folds == k`; validate, if need be, on `folds == (k + 1) % n_folds`.

    Raises
    ------
    ValueError
        When a genre has fewer groups than folds; the message names it.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    _check_groups(clips, n_folds, config)
    deals = [_deal(clips, n_folds, 1000 * seed + trial) for trial in range(20)]
    share = np.full(n_folds, 1 / n_folds)
    best = min(deals, key=lambda fold: _imbalance(clips["genre"], fold, share, config))
    if not np.isfinite(_imbalance(clips["genre"], best, share, config)):
        raise ValueError(f"found no {n_folds} folds with every genre in each: use fewer folds, or add artists")
    return best


def leaky_split(clips: dict, seed: int = 0) -> np.ndarray:
    """The split NOT to use: clips dealt at random, so that seconds of one song are in training and in test.

    Returns a str array (n_clips,) as `split_by_group` does. Explained in notebooks/02_prepare_dataset.ipynb.
    """
    part = np.full(len(clips["genre"]), "train", dtype="<U10")
    rest, test = train_test_split(np.arange(len(part)), test_size=0.2, stratify=clips["genre"], random_state=seed)
    validation = train_test_split(rest, test_size=0.25, stratify=clips["genre"][rest], random_state=seed)[1]
    part[test], part[validation] = "test", "validation"
    return part


def choose_split(clips: dict, seed: int = 0, config: Config = CONFIG) -> tuple[np.ndarray, str]:
    """The fault-filtered split where all songs are GTZAN's and every part has every genre, else a split by group.

    Returns
    -------
    (str array (n_clips,), str)
        "train", "validation" or "test"; with the fault-filtered split also "" for the songs that it leaves out
        (repetitions, distortions). The second value says in words which split it is.

    Explained in notebooks/02_prepare_dataset.ipynb.
    """
    counts = np.zeros((len(config.genres), len(PARTS)))
    for number, part in enumerate(PARTS):
        counts[:, number] = np.bincount(clips["genre"][clips["split"] == part], minlength=len(config.genres))
    names_are_gtzan = all(GTZAN_NAME.fullmatch(song.split("/")[-1]) for song in clips["song"])
    if names_are_gtzan and counts.all():
        return clips["split"], "GTZAN's published fault-filtered split (Kereliuk, Sturm and Larsen 2015)"
    return split_by_group(clips, seed, config), "by artist where known, else by song"
