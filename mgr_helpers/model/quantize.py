"""From a trained Keras model to one int8 .tflite file, and back to the numbers that the firmware needs.

Mirrors the recipe "Quantize the model" of the TinyML Cookbook 2e, chapter 6.
Explained in notebooks/06_quantize_model.ipynb.
"""

from __future__ import annotations

import numpy as np

from ..host.quiet import import_tf, quiet
from .tflite import embed_front_end

ARCHITECTURES = ("lstm2", "lstm_mean", "lstm_mean2", "lstm_many", "pooling")


# --- conversion -----------------------------------------------------------------------------------------------------

def _twin(architecture: str, n_frames: int, n_mfcc: int, units: list[int], n_genres: int):
    """The same network in tf_keras with a fixed batch of one: what TFLite's converter can fuse."""
    import tf_keras
    layers = tf_keras.layers
    inputs = x = layers.Input(batch_shape=(1, n_frames, n_mfcc))
    for index, n in enumerate(units):
        last_only = architecture == "lstm2" and index == len(units) - 1
        x = layers.LSTM(n, return_sequences=not last_only)(x)
    if architecture.startswith("lstm_mean"):
        x = layers.GlobalAveragePooling1D()(x)
    if architecture == "pooling":
        x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
        x = layers.Dense(32, activation="relu")(x)
    x = layers.Dense(n_genres, activation="softmax")(x)
    if architecture == "lstm_many":
        x = layers.GlobalAveragePooling1D()(x)
    return tf_keras.Model(inputs, x)


def convert(model, calibration: np.ndarray | None, front_end: dict) -> bytes:
    """Convert a Keras 3 model to a .tflite file whose LSTM layers are fused.

    Keras 3's own conversion can't fuse an LSTM, so the weights are copied into a tf_keras twin with batch size one.

    Parameters
    ----------
    model : keras.Model
        From `network.build_model`; its name says the architecture (one of `ARCHITECTURES`).
    calibration : float32 array (n, n_frames, n_mfcc), or None
        Normalised windows of the *training* set: their range fixes the scales. None: a float file.
    front_end : dict
        From `front_end_dict`; embedded in the file (see `read_front_end`).

    Returns
    -------
    bytes
        The .tflite file: int8 in and out, shape [1, n_frames, n_mfcc] (float32 when not calibrated).

    Raises
    ------
    ValueError
        For an unknown architecture, or calibration windows of another shape.

    Explained in notebooks/06_quantize_model.ipynb.
    """
    tf = import_tf()
    if model.name not in ARCHITECTURES:
        raise ValueError(f"model is named {model.name!r}, need one of {ARCHITECTURES}: make it with model.build_model")
    shape = tuple(model.input_shape[1:])
    units = [layer.units for layer in model.layers if type(layer).__name__ == "LSTM"]
    with quiet():
        twin = _twin(model.name, *shape, units, model.output_shape[-1])
        twin.set_weights(model.get_weights())
        converter = tf.lite.TFLiteConverter.from_keras_model(twin)
        if calibration is not None:
            _make_int8(converter, calibration, shape)
        tflite = converter.convert()
    return embed_front_end(tflite, front_end)


def _make_int8(converter, calibration: np.ndarray, shape: tuple[int, int]) -> None:
    """Ask for int8 everywhere, scales calibrated on real windows."""
    tf = import_tf()
    if calibration.ndim != 3 or calibration.shape[1:] != shape or len(calibration) == 0:
        raise ValueError(f"calibration windows have shape {calibration.shape}, need (n > 0, {shape[0]}, {shape[1]})")
    windows = np.asarray(calibration, np.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[None]] for window in windows)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
