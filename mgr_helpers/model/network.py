"""The networks: one definition of each architecture, normalisation, and training in Keras 3.

Mirrors the recipe "Designing and training an LSTM RNN model" of the TinyML Cookbook 2e, chapter 6.

Notebooks: 05, 06, 07.
"""

import functools
from pathlib import Path

import numpy as np

from ..config import CONFIG, Config, artifact
from ..features.mfcc_q15 import RAW_ONE
from ..host.files import write_whole
from ..host.quiet import import_tf

BATCH, EPOCH_STEPS, EMA_MOMENTUM = 64, 60, 0.99
N_CALIBRATION = 200


def fit_normalisation(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each coefficient of raw MFCCs, int32 (n, n_frames, n_mfcc), of training windows.

    Returns
    -------
    mean, std : float64 arrays (n_mfcc,)
        In units of raw / 2**22, for `mfcc_q15.normalise`; std is at least 1e-3.
    """
    values = raw.reshape(-1, raw.shape[-1]) / RAW_ONE
    return values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)


def build_model(architecture: str = "lstm2", units: int | None = None, dropout: float = 0.1,
                recurrent_dropout: float = 0.0, seed: int = 0, config: Config = CONFIG, noise: float = 0.0,
                n_classes: int | None = None):
    """An untrained Keras 3 model; its name is its architecture.

    Parameters
    ----------
    architecture : str
        "lstm2": the book's many-to-one network: two LSTMs of 32 units, last step, dense layer, softmax.
        "book": the same, with the book's dropout of 0.5 after the last step.
        "lstm_many": many-to-many: dense layer and softmax at each step, then their mean.
        "lstm_mean": one LSTM of 36 units, mean over its steps, dense layer, softmax. "lstm_mean2": two of 28.
        "pooling": no recurrence: mean and maximum over time, Dense(32), dense layer, softmax.
    units : int, optional
        Units of each layer, instead of those above.
    dropout, recurrent_dropout : float
        Of the LSTM layers. Recurrent dropout makes training on a CPU about 2.5 times slower.
    seed : int
        Fixes initial weights, dropout and the order of training windows.
    noise : float
        Standard deviation of Gaussian noise on the normalised input, in training only.
    n_classes : int, optional
        The genres, and what is none of them; None: the genres alone.

    Returns
    -------
    keras.Model
        Normalised windows (batch, n_frames, n_mfcc) to probabilities (batch, n_classes).

    Raises
    ------
    ValueError
        For an unknown architecture.
    """
    import_tf()
    import keras
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}: choose one of {sorted(ARCHITECTURES)}")
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((config.n_frames, config.n_mfcc))
    x = keras.layers.GaussianNoise(noise)(inputs) if noise else inputs
    connect, usual = ARCHITECTURES[architecture]
    outputs = connect(keras.layers, x, units or usual, n_classes or len(config.genres), dropout=dropout,
                      recurrent_dropout=recurrent_dropout)
    return keras.Model(inputs, outputs, name=architecture)


# `layers` is `keras.layers`, or `tf_keras.layers` where a model is converted (see `quantize.twin`). `drop` has the
# shares of dropout, which the layers of LSTMs take.

def many_to_one(layers, x, units, n_classes, **drop):
    """Output of the book's network for the input `x`: what the last step says decides."""
    x = layers.LSTM(units, return_sequences=True, **drop)(x)
    x = layers.LSTM(units, **drop)(x)
    return layers.Dense(n_classes, activation="softmax")(x)


def many_to_one_of_book(layers, x, units, n_classes, **_):
    """The same with the book's dropout."""
    x = layers.LSTM(units, return_sequences=True)(x)
    x = layers.Dropout(0.5)(layers.LSTM(units)(x))
    return layers.Dense(n_classes, activation="softmax")(x)


def many_to_many(layers, x, units, n_classes, **drop):
    """An answer after each step, and their mean."""
    x = layers.LSTM(units, return_sequences=True, **drop)(x)
    x = layers.LSTM(units, return_sequences=True, **drop)(x)
    x = layers.Dense(n_classes, activation="softmax")(x)
    return layers.GlobalAveragePooling1D()(x)


def mean_of_steps(layers, x, units, n_classes, depth=1, **drop):
    """One answer, from the mean of what the LSTM says at all steps."""
    for _ in range(depth):
        x = layers.LSTM(units, return_sequences=True, **drop)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return layers.Dense(n_classes, activation="softmax")(x)


def pooled(layers, x, units, n_classes, dropout=0.0, **_):
    """No memory: mean and maximum of each coefficient."""
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    drop = layers.Dropout(dropout)  # made before Dense: a layer draws its seed when it is made
    x = drop(layers.Dense(units, activation="relu")(x))
    return layers.Dense(n_classes, activation="softmax")(x)


ARCHITECTURES = {"book": (many_to_one_of_book, 32), "lstm2": (many_to_one, 32), "lstm_many": (many_to_many, 32),
                 "lstm_mean": (mean_of_steps, 36), "lstm_mean2": (functools.partial(mean_of_steps, depth=2), 28),
                 "pooling": (pooled, 32)}  # the function, and units of each of its layers


def class_weights(genre: np.ndarray, n_genres: int) -> dict[int, float]:
    """Weight of each genre in the loss: all genres count the same. ValueError when a genre has no window.

    Windows of other classes, whose number is `n_genres` or more, don't count here: each of them has the weight 1.
    """
    counts = np.bincount(genre[genre < n_genres], minlength=n_genres)
    if not counts.all():
        raise ValueError(f"genre number {int(counts.argmin())} has no training window: add songs of it")
    return {index: float(counts.sum() / (n_genres * count)) for index, count in enumerate(counts)}


def adam(epochs: int, learning_rate: float):
    """Adam: learning rate along a cosine down to 5 %, gradients clipped, weights become a running mean."""
    import keras
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * EPOCH_STEPS, alpha=0.05)
    return keras.optimizers.Adam(schedule, clipnorm=5.0, use_ema=True, ema_momentum=EMA_MOMENTUM)


def batches_of(x: np.ndarray, targets: np.ndarray, weight: np.ndarray):
    """Windows, targets and weights in batches without end, shuffled anew each time through."""
    import tensorflow as tf
    rows = tf.data.Dataset.from_tensor_slices((x, targets, weight))
    return rows.shuffle(len(x)).repeat().batch(BATCH)


def train(model, x: np.ndarray, genre: np.ndarray, validation: tuple[np.ndarray, np.ndarray] | None = None,
          epochs: int = 15, learning_rate: float = 5e-3, patience: int = 5, callbacks: list = (),
          config: Config = CONFIG) -> dict[str, list]:
    """Train in place: Adam, learning rate along a cosine down to 5 %, gradients clipped, genres weighted.

    The weights become a running mean over about the last hundred steps (Polyak and Juditsky 1992).

    Parameters
    ----------
    model : keras.Model
        From `build_model`, whose seed also fixes the order of the windows.
    x : float32 array (n, n_frames, n_mfcc)
        Normalised windows.
    genre : int array (n,)
        Class of each window; those of no genre come after the genres.
    validation : (x, genre) of other artists, optional
        Training then stops when their accuracy hasn't risen for `patience` epochs, and the best epoch's weights are
        kept. (The loss would stop it too soon: with few artists it rises long before the accuracy falls.)
    epochs : int
        Of 60 steps of 64 windows each, however many windows there are.
    callbacks : list of keras.callbacks.Callback

    Returns
    -------
    dict
        loss, accuracy, and with validation val_loss, val_accuracy: a list each, one number an epoch.
    """
    import keras
    weight = class_weights(genre, len(config.genres))
    weight = np.array([weight.get(index, 1.0) for index in genre], np.float32)
    targets = np.eye(model.output_shape[-1], dtype=np.float32)
    model.compile(adam(epochs, learning_rate), "categorical_crossentropy", steps_per_execution=EPOCH_STEPS,
                  weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
    stopping = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=patience, restore_best_weights=True)
    history = model.fit(batches_of(x, targets[genre], weight), epochs=epochs, steps_per_epoch=EPOCH_STEPS, verbose=0,
                        shuffle=False, validation_data=validation and (validation[0], targets[validation[1]]),
                        callbacks=[*callbacks, *([stopping] if validation else [])])
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def predict(model, x: np.ndarray) -> np.ndarray:
    """Probabilities float32 (n, n_classes) of normalised windows, without Keras' progress bar."""
    parts = [model(x[start : start + 512], training=False).numpy() for start in range(0, len(x), 512)]
    return np.concatenate(parts) if parts else np.zeros((0, model.output_shape[-1]), np.float32)


def calibration_choice(genre: np.ndarray) -> np.ndarray:
    """Indices of at most 200 training windows, drawn at random and sorted: they calibrate the quantisation."""
    return np.sort(np.random.default_rng(0).permutation(len(genre))[:N_CALIBRATION])


def save(folder: Path, network, mean: np.ndarray, std: np.ndarray, raw: np.ndarray, genre: np.ndarray,
         labels: list[str]) -> None:
    """Write model.keras and calibration.npz: labels, normalisation, and `calibration_choice` of the training windows.

    Parameters
    ----------
    folder : Path
    network : keras.Model
        Saved without the optimiser's state, which is two thirds of the bytes.
    mean, std : float arrays (n_mfcc,)
    raw : int32 array (n, n_frames, n_mfcc)
    genre : int array (n,)
    labels : list of str
        Names of the classes, genres first.
    """
    import keras
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bare = keras.models.clone_model(network)
    bare.set_weights(network.get_weights())
    bare.save(folder / "model.keras")
    chosen = calibration_choice(genre)
    write_whole(folder / "calibration.npz", lambda file: np.savez_compressed(
        file, raw=raw[chosen], genre=genre[chosen], mean=mean, std=std,
        labels=np.array(labels)))


def load() -> tuple:
    """The network and calibration windows that `save` wrote: notebook 05's, else those that ship.

    Returns
    -------
    network : keras.Model
    calibration : dict
        raw int32 (n, n_frames, n_mfcc), genre int64 (n,), mean and std float64 (n_mfcc,), labels str (n_classes,).

    Raises
    ------
    FileNotFoundError
        When there is neither.
    """
    import_tf()
    import keras
    path = artifact("model.keras")
    with np.load(path.with_name("calibration.npz")) as file:
        return keras.models.load_model(path), dict(file)
