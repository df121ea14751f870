"""Which clips train, validate and test a model: by artist, by fold, and the random split that leaks.

Notebooks: 02, 05, 07.
"""

import itertools
import re

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from ..config import CONFIG, Config

PARTS = ("train", "validation", "test")
GTZAN_NAME = re.compile(r"([a-z]+)\.(\d{5})")  # disco.00001


def split_by_group(clips: dict, seed: int = 0, config: Config = CONFIG) -> np.ndarray:
    """Train, validation and test (about 60, 20 and 20 %) that share no group, each with every genre.

    scikit-learn's StratifiedGroupKFold deals the groups into folds several times. Any two folds may become test and
    validation. We take the choice whose parts come nearest to the wanted share of every genre. Only genres and groups
    count, never audio.

    Returns a str array (n_clips,) of PARTS. Raises ValueError when a genre has fewer than three groups, and names it.
    """
    check_groups(clips, 3, config)
    for n_folds in (5, 4, 3):
        best = min(_deals(clips, n_folds, seed, config), key=lambda deal: deal[0], default=(np.inf, None))
        if np.isfinite(best[0]):
            return best[1]
    raise ValueError("found no split with every genre in every part and each artist in one part only: add artists")


def _deals(clips: dict, n_folds: int, seed: int, config: Config):
    """Pairs (imbalance, part of each clip) for every deal and every choice of test and validation fold."""
    share = np.array([1 - 2 / n_folds, 1 / n_folds, 1 / n_folds])
    for fold in fold_numbers(clips, n_folds, seed):
        for test, validation in itertools.permutations(range(n_folds), 2):
            part = np.where(fold == test, 2, np.where(fold == validation, 1, 0))
            yield imbalance(clips["genre"], part, share, config), np.array(PARTS)[part]


def fold_numbers(clips: dict, n_folds: int, seed: int):
    """The fold of each clip, int (n_clips,), in each of twenty deals."""
    for trial in range(20):
        fold = np.zeros(len(clips["genre"]), int)
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=1000 * seed + trial)
        for number, (_, test) in enumerate(folds.split(clips["genre"], clips["genre"], clips["group"])):
            fold[test] = number
        yield fold


def imbalance(genre: np.ndarray, part: np.ndarray, share: np.ndarray, config: Config) -> float:
    """How far a genre's share in a part is from the wanted one: largest |log ratio|, infinite where one is absent."""
    counts = np.zeros((len(config.genres), len(share)))
    np.add.at(counts, (genre, part), 1)
    with np.errstate(divide="ignore"):
        return float(np.abs(np.log(counts / counts.sum(1, keepdims=True) / share)).max())


def check_groups(clips: dict, needed: int, config: Config) -> None:
    for index, genre in enumerate(config.genres):
        groups = np.unique(clips["group"][clips["genre"] == index])
        if len(groups) < needed:
            raise ValueError(f"{genre} has {len(groups)} artists or songs ({', '.join(groups)}), a split that shares "
                             f"none needs {needed}: add songs of other artists")


def leaky_split(clips: dict, seed: int = 0) -> np.ndarray:
    """The split NOT to use, in the form of `split_by_group`: seconds of one song are in training and in test."""
    part = np.full(len(clips["genre"]), "train", dtype="<U10")
    rest, test = train_test_split(np.arange(len(part)), test_size=0.2, stratify=clips["genre"], random_state=seed)
    validation = train_test_split(rest, test_size=0.25, stratify=clips["genre"][rest], random_state=seed)[1]
    part[test], part[validation] = "test", "validation"
    return part


def part_of_group(group: str, groups: list[str]) -> str:
    """Part of a group of other music. Of the sorted groups of its kind, each fifth is for test, the next validates."""
    return ("test", "validation", "train", "train", "train")[sorted(set(groups)).index(group) % 5]


def choose_split(clips: dict, seed: int = 0, config: Config = CONFIG) -> tuple[np.ndarray, str]:
    """The fault-filtered split where all songs are GTZAN's and every part has every genre, else a split by group.

    Returns
    -------
    (str array (n_clips,), str)
        One of PARTS for each clip, or "" for what the fault-filtered split leaves out (repetitions, distortions); and
        the name of the split, in words.
    """
    there = set(zip(clips["genre"], clips["split"])) >= set(itertools.product(range(len(config.genres)), PARTS))
    if there and all(GTZAN_NAME.fullmatch(song.split("/")[-1]) for song in clips["song"]):
        return clips["split"], "GTZAN's published fault-filtered split (Kereliuk, Sturm and Larsen 2015)"
    return split_by_group(clips, seed, config), "by artist where known, else by song"
