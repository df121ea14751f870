"""The recurrent network: architectures, normalisation and training in Keras 3.

Mirrors the recipe "Design and train an LSTM RNN model" of the TinyML Cookbook 2e, chapter 6.
Explained in notebooks/05_train_lstm.ipynb.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from mgr_helpers.config import CONFIG, Config

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up lines are no part of a notebook
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

RAW_ONE = 2.0**22  # a raw fixed-point MFCC of this value is 1.0


def fit_normalisation(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each coefficient over training windows.

    Parameters
    ----------
    raw : int32 array (n, n_frames, n_mfcc)
        Raw MFCCs of the training set only (see `mfcc_q15.mfcc_windows`).

    Returns
    -------
    mean, std : float64 arrays (n_mfcc,)
        In units of raw / 2**22; std is at least 1e-3.
    """
    values = raw.reshape(-1, raw.shape[-1]) / RAW_ONE
    return values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)


def normalise(raw: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """(raw / 2**22 - mean) / std as float32: what the float model sees."""
    return ((raw / RAW_ONE - np.asarray(mean)) / np.asarray(std)).astype(np.float32)


def build_model(architecture: str = "lstm2", units: int | None = None, dropout: float = 0.1,
                recurrent_dropout: float = 0.0, config: Config = CONFIG):
    """An untrained Keras 3 model; its name is its architecture.

    Parameters
    ----------
    architecture : str
        "lstm2": the book's many-to-one network, two LSTMs of 32 units, the last step into a dense softmax.
        "lstm_many": many-to-many, a dense softmax on each step, averaged.
        "lstm_mean": one LSTM of 40 units, the mean over its steps into a dense softmax; "lstm_mean2": two of 30.
        "pooling": no recurrence, mean and maximum over time into Dense(32): a baseline to beat.
    units : int or None
        Units of each LSTM, when they shall differ from those above.
    dropout, recurrent_dropout : float
        Of the LSTM layers. Recurrent dropout makes an epoch on a CPU several times longer.

    Returns
    -------
    keras.Model
        Normalised windows (batch, n_frames, n_mfcc) to probabilities (batch, n_genres).

    Raises
    ------
    ValueError
        For an unknown architecture.

    Explained in notebooks/05_train_lstm.ipynb.
    """
    import keras
    defaults = {"lstm2": [32, 32], "lstm_many": [32, 32], "lstm_mean": [40], "lstm_mean2": [30, 30], "pooling": []}
    if architecture not in defaults:
        raise ValueError(f"unknown architecture {architecture!r}: choose one of {sorted(defaults)}")
    layers = keras.layers
    inputs = x = layers.Input((config.n_frames, config.n_mfcc))
    for index, n in enumerate(defaults[architecture]):
        last_only = architecture == "lstm2" and index == 1
        x = layers.LSTM(units or n, return_sequences=not last_only, dropout=dropout,
                        recurrent_dropout=recurrent_dropout)(x)
    if architecture.startswith("lstm_mean"):
        x = layers.GlobalAveragePooling1D()(x)
    if architecture == "pooling":
        x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
        x = layers.Dropout(dropout)(layers.Dense(32, activation="relu")(x))
    x = layers.Dense(len(config.genres), activation="softmax")(x)
    if architecture == "lstm_many":
        x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, x, name=architecture)
