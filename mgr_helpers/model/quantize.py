"""From a trained Keras network to a .tflite file, int8 or float.

Mirrors the quantisation in the recipe "Evaluating the accuracy of the quantized model on the test dataset" of the
TinyML Cookbook 2e, chapter 6.

Notebooks: 06.
"""

import numpy as np

from ..host.quiet import import_tf, quiet
from . import network as networks
from .tflite import Model, embed_front_end, open_model

ARCHITECTURES = tuple(name for name in networks.ARCHITECTURES if name != "book")


def convert(network, calibration: np.ndarray | None, front_end: dict) -> Model:
    """Convert a Keras 3 network to a .tflite file in which each LSTM layer is one operator ("fused").

    TensorFlow Lite can't fuse an LSTM of Keras 3. So the weights are copied into the same network in tf_keras, with a
    fixed batch of one.

    Parameters
    ----------
    network : keras.Model
        From `network.build_model`; its name says the architecture (one of `ARCHITECTURES`).
    calibration : float32 array (n, n_frames, n_mfcc), or None
        Normalised windows of the *training* set: their range fixes the scales. None for a float file.
    front_end : dict
        From `tflite.front_end_dict`; it is written into the file.

    Returns
    -------
    Model
        int8 in and out (float32 when not calibrated); its input has shape [1, n_frames, n_mfcc].

    Raises
    ------
    ValueError
        For an unknown architecture, or calibration windows of another shape.
    """
    if network.name not in ARCHITECTURES:
        raise ValueError(f"model is named {network.name!r}, need one of {ARCHITECTURES}: make it with build_model")
    shape = tuple(network.input_shape[1:])
    if calibration is not None and (np.shape(calibration)[1:] != shape or len(calibration) == 0):
        raise ValueError(f"calibration windows have shape {np.shape(calibration)}, need (n > 0, {str(shape)[1:]}")
    import_tf()
    return open_model(embed_front_end(to_tflite(network, calibration), front_end))


def to_tflite(network, calibration: np.ndarray | None) -> bytes:
    """The bytes of the .tflite file, without a front end; arguments as for `convert`."""
    import tensorflow as tf
    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(twin(network))
        if calibration is not None:
            make_int8(converter, calibration)
        return converter.convert()


def twin(network):
    """The same network and weights in tf_keras with a fixed batch of one: what TFLite's converter can fuse."""
    import tf_keras
    inputs = tf_keras.layers.Input(batch_shape=(1, *network.input_shape[1:]))
    connect, _ = networks.ARCHITECTURES[network.name]
    units = next(layer.units for layer in network.layers if hasattr(layer, "units"))
    outputs = connect(tf_keras.layers, inputs, units, network.output_shape[-1])
    same = tf_keras.Model(inputs, outputs)
    same.set_weights(network.get_weights())
    return same


def make_int8(converter, calibration: np.ndarray) -> None:
    """Ask the converter for int8 everywhere; the calibration windows fix the scales."""
    import tensorflow as tf
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[None].astype(np.float32)] for window in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
