"""Converting, opening, checking and running .tflite files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgr_helpers.config import CONFIG, PRETRAINED
from mgr_helpers.features import mfcc_book
from mgr_helpers.model import network, quantize, runtimes
from mgr_helpers.model.schema import schema
from mgr_helpers.model.tflite import _find_metadata, _parse, embed_front_end, load_model, open_model, pack
from mgr_helpers.pico import headers
from tests.tflm import NEEDS_TFLM, measured_sigmoid_table, run_activation

FRONT_END = {"config": CONFIG.to_dict(), "mean": [0.0] * CONFIG.n_mfcc, "std": [1.0] * CONFIG.n_mfcc,
             "labels": list(CONFIG.genres)}
LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
OPS = {"lstm2": [LSTM, LSTM, "STRIDED_SLICE", "FULLY_CONNECTED", "SOFTMAX"],
       "lstm_mean": [LSTM, "MEAN", "FULLY_CONNECTED", "SOFTMAX"],
       "lstm_mean2": [LSTM, LSTM, "MEAN", "FULLY_CONNECTED", "SOFTMAX"],
       "lstm_many": [LSTM, LSTM, "FULLY_CONNECTED", "SOFTMAX", "MEAN"]}


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).normal(size=(60, CONFIG.n_frames, CONFIG.n_mfcc)).astype(np.float32)


@pytest.fixture(scope="module")
def networks(windows):
    """lstm2 trained a little, so that its weights aren't symmetric about zero; the others with their first weights."""
    made = {name: network.build_model(name, seed=3) for name in quantize.ARCHITECTURES}
    network.train(made["lstm2"], windows, np.arange(60) % 3, epochs=1)
    return made


@pytest.fixture(scope="module")
def files(networks, windows):
    return {name: quantize.convert(network, windows, FRONT_END) for name, network in networks.items()}


def check_int8(content, name="model"):
    """Raise ValueError unless the bytes are an int8 model of ours."""
    return open_model(content, name).front_end


def lstm_tensors(content, name="model"):
    return open_model(content, name).tensors


def read_front_end(content):
    return open_model(content).metadata


def to_int8(model, windows):
    ends = model.description["input"]
    return np.clip(np.round(windows / ends["scale"]) + ends["zero_point"], -128, 127).astype(np.int8)


@pytest.mark.slow
@pytest.mark.parametrize("name", quantize.ARCHITECTURES)
def test_int8_agrees_with_float_in_both_runtimes(name, files, networks, windows):
    expected = network.predict(networks[name], windows)
    for run in (runtimes.run_litert,) if runtimes.NO_TFLM else (runtimes.run_tflm, runtimes.run_litert):
        scores = run(files[name], to_int8(files[name], windows))
        ends = files[name].description["output"]
        assert scores.dtype == np.int8 and scores.shape == (60, 3)
        found = (scores.astype(float) - ends["zero_point"]) * ends["scale"]
        assert np.abs(found - expected).max() < 0.08  # untrained networks, on noise


def test_each_lstm_layer_is_one_operator(files):
    for name, ops in OPS.items():
        assert files[name].description["ops"] == ops


def test_number_of_parameters(networks):
    assert network.build_model("book", config=mfcc_book.BOOK).count_params() == 14947
    assert networks["lstm_mean"].count_params() <= 15000 and networks["lstm_mean2"].count_params() <= 15000


def test_float_file_equals_keras(networks, windows):
    model = quantize.convert(networks["lstm2"], None, FRONT_END)
    assert runtimes.run_litert(model, windows) == pytest.approx(network.predict(networks["lstm2"], windows), abs=1e-5)
    with pytest.raises(ValueError, match="other.tflite is not quantised to int8"):
        check_int8(model.content, "other.tflite")


def test_the_file_carries_its_front_end(files):
    assert read_front_end(files["lstm2"].content) == json.loads(json.dumps(FRONT_END))
    again = embed_front_end(files["lstm2"].content, {**FRONT_END, "labels": ["a", "b", "c"]})
    assert read_front_end(again)["labels"] == ["a", "b", "c"]
    assert again.count(b'"labels"') == 1


def test_any_changed_byte_is_noticed(files):
    whole = files["lstm2"].content
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        for read in (check_int8, read_front_end, lstm_tensors):
            with pytest.raises(ValueError, match="damaged|TFL3|no front end"):
                read(bytes(damaged))
    with pytest.raises(ValueError, match="damaged"):  # embedding again must not make damage look whole
        embed_front_end(bytes(damaged), FRONT_END)


def test_a_file_without_a_checksum_is_refused(files):
    with pytest.raises(ValueError, match="old.tflite carries no checksum"):
        check_int8(files["lstm2"].content.replace(b'"sha256"', b'"sha25x"'), "old.tflite")
    check_int8((PRETRAINED / "model_int8.tflite").read_bytes())


def edited(content, change):
    """The file with its parsed objects changed, and sealed again."""
    front_end, parsed = read_front_end(content), _parse(content)
    parsed.buffers[_find_metadata(parsed)].data, parsed.metadata = None, []
    change(parsed, parsed.subgraphs[0], parsed.subgraphs[0].operators)
    return embed_front_end(pack(parsed), front_end)


def without_input_gate(parsed, graph, ops):
    ops[0].inputs = [ops[0].inputs[0], -1, *ops[0].inputs[2:]]


FOREIGN = {
    "relu after the dense layer": lambda p, g, ops: setattr(ops[-2].builtinOptions, "fusedActivationFunction", 1),
    "an LSTM without tanh": lambda p, g, ops: setattr(ops[0].builtinOptions, "fusedActivationFunction", 1),
    "time-major": lambda p, g, ops: setattr(ops[0].builtinOptions, "timeMajor", True),
    "coupled gates": without_input_gate,
    "another cell scale": lambda p, g, ops: setattr(g.tensors[ops[0].inputs[19]].quantization, "scale", [0.0003]),
    "weights with a zero point": lambda p, g, ops: setattr(g.tensors[ops[0].inputs[2]].quantization, "zeroPoint", [3]),
    "a scale of infinity": lambda p, g, ops: setattr(g.tensors[ops[0].inputs[0]].quantization, "scale", [np.inf]),
    "a hidden state of another scale": lambda p, g, ops: setattr(g.tensors[ops[0].inputs[18]].quantization, "scale",
                                                                 [0.5]),
    "two outputs": lambda p, g, ops: setattr(g, "outputs", [g.outputs[0]] * 2),
    "other wiring": lambda p, g, ops: setattr(ops[1], "inputs", [g.inputs[0], *ops[1].inputs[1:]]),
    "the first step": lambda p, g, ops: setattr(p.buffers[g.tensors[ops[2].inputs[1]].buffer], "data",
                                                np.zeros(12, np.uint8)),
    "a slice that ends at a tensor": lambda p, g, ops: setattr(ops[2], "inputs", [*ops[2].inputs[:2], ops[1].inputs[18],
                                                                                  ops[2].inputs[3]]),
    "softmax of another scale": lambda p, g, ops: setattr(g.tensors[g.outputs[0]].quantization, "scale", [1 / 128]),
    "huge biases": lambda p, g, ops: setattr(p.buffers[g.tensors[ops[0].inputs[12]].buffer], "data",
                                             np.full(32, 2**31 - 1, np.int32).view(np.uint8)),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_model_that_the_firmware_would_run_wrongly_is_refused(name, files):
    foreign = edited(files["lstm2"].content, FOREIGN[name])
    with pytest.raises(ValueError, match="^mine.tflite.*(can't run|need)"):
        lstm_tensors(foreign, "mine.tflite")


def test_frame_sizes_that_the_sketch_cannot_run_are_refused(files):
    for change in ({"frame_step": 1000}, {"frame_length": 1536}, {"fft_length": 3000}, {"silence_bits": 15}):
        other = embed_front_end(files["lstm2"].content, {**FRONT_END, "config": {**FRONT_END["config"], **change}})
        with pytest.raises(ValueError, match="^mine.tflite: the firmware can't run this model"):
            lstm_tensors(other, "mine.tflite")


@pytest.mark.parametrize("change", [{"mean": [0.0]}, {"std": [0.0] * CONFIG.n_mfcc}, {"labels": ["a", "b", "c"]},
                                    {"config": {}}, {"config": None}, {"std": [float("nan")] * CONFIG.n_mfcc}])
def test_a_front_end_with_wrong_lengths_or_values_is_refused(change, files):
    with pytest.raises(ValueError, match="mine.tflite carries a"):
        check_int8(embed_front_end(files["lstm2"].content, {**FRONT_END, **change}), "mine.tflite")


def test_buffers_start_at_multiples_of_four_bytes(files):
    parsed = schema.Model.GetRootAsModel(files["lstm_mean"].content, 0)
    for index in range(parsed.BuffersLength()):
        buffer = parsed.Buffers(index)
        if buffer.DataLength():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 4 == 0


@pytest.mark.parametrize("run", [pytest.param(runtimes.run_tflm, marks=NEEDS_TFLM), runtimes.run_litert])
def test_state_is_reset_before_each_window(run, files, windows):
    features = to_int8(files["lstm2"], windows)
    once = run(files["lstm2"], features[:1])
    twice = run(files["lstm2"], features[[0, 0]])
    assert np.array_equal(twice, np.concatenate([once, once]))
    kept = run(files["lstm2"], features, reset=False)
    assert not np.array_equal(kept, run(files["lstm2"], features))


def test_lstm_tensors_hold_the_weights(files, networks):
    for name in ("lstm2", "lstm_mean"):
        tensors = files[name].tensors
        kernel, recurrent, bias = networks[name].get_weights()[:3]
        units = recurrent.shape[0]
        for index, (gate, values) in enumerate(tensors["lstm"][0]["gates"].items()):
            part = slice(index * units, (index + 1) * units)
            assert values["W"] * values["W_scale"] == pytest.approx(kernel[:, part].T, abs=values["W_scale"])
            assert values["R"] * values["R_scale"] == pytest.approx(recurrent[:, part].T, abs=values["R_scale"])
            scale = values["W_scale"] * tensors["lstm"][0]["x_scale"]
            assert values["b"] * scale == pytest.approx(bias[part], abs=scale)
        layer = tensors["lstm"][0]
        assert layer["c_scale"] == 2.0 ** layer["c_scale_log2"] and layer["cell_clip"] == 10.0
        assert (layer["h_scale"], layer["h_zero_point"]) == (layer["output_scale"], layer["output_zero_point"])
        assert (tensors["output_scale"], tensors["output_zero_point"]) == (1 / 256, -128)
    assert files["lstm2"].tensors["mean"] is None
    assert files["lstm_mean"].tensors["mean"]["n"] == CONFIG.n_frames


@pytest.mark.parametrize("name", ["lstm_many", "pooling"])
def test_an_architecture_that_the_firmware_cannot_run_is_refused(name, files):
    with pytest.raises(ValueError, match="the firmware runs LSTM layers"):
        files[name].tensors


def test_input_of_another_type_or_shape_is_refused(files, networks, windows):
    with pytest.raises(ValueError, match="need int8"):
        runtimes.run_tflm(files["lstm2"], windows)
    with pytest.raises(ValueError, match="the model takes int8"):
        runtimes.run_litert(files["lstm2"], windows)
    with pytest.raises(ValueError, match="calibration windows"):
        quantize.convert(networks["pooling"], windows[:, :5], FRONT_END)
    with pytest.raises(ValueError, match="8 MFCC"):
        other = {**FRONT_END, "config": {"n_frames": 20, "n_mfcc": 8}}
        check_int8(embed_front_end(files["pooling"].content, other), "8 MFCC")


def test_load_model_names_a_bad_file(tmp_path, files):
    with pytest.raises(FileNotFoundError, match="none.tflite"):
        load_model(tmp_path / "none.tflite")
    for content in (b"", b"hello world", files["pooling"].content[:2000], files["pooling"].content[:-40]):
        (tmp_path / "bad.tflite").write_bytes(content)
        with pytest.raises(ValueError, match="bad.tflite"):
            load_model(tmp_path / "bad.tflite")
    (tmp_path / "good.tflite").write_bytes(files["pooling"].content)
    assert load_model(tmp_path / "good.tflite").content == files["pooling"].content


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_truncated_file_is_a_value_error(data, files):
    whole = files["lstm_mean"].content
    length = data.draw(st.integers(0, len(whole) - 1))
    try:
        check_int8(whole[:length])
    except ValueError:
        pass
    else:
        assert length > len(whole) - 8  # only padding is missing


@pytest.mark.parametrize("name", ["lstm2", "lstm_mean", "lstm_mean2"])
def test_activations_are_the_outputs_of_the_operators(files, windows, name):
    features = to_int8(files[name], windows)[:5]
    flow = runtimes.activations(files[name], features)
    assert np.array_equal(flow["features"]["values"], features)
    scores = runtimes.run_litert(files[name], features).astype(int)
    assert list(flow)[-1] == "probabilities" and np.abs(flow["probabilities"]["values"] - scores).max() <= 1
    lstms = [key for key in flow if key.endswith("hidden state")]
    assert len(lstms) == OPS[name].count(LSTM) and flow[lstms[0]]["values"].shape[:2] == (5, CONFIG.n_frames)
    layer = files[name].tensors["lstm"][-1]
    assert flow[lstms[-1]]["scale"] == layer["output_scale"]
    assert flow[lstms[-1].replace("hidden", "last cell")]["scale"] == layer["c_scale"]


def sigmoid_by_table(z, table):
    """TFLM's int16 LOGISTIC of inputs with scale 2**-12, from its table."""
    v = 3 * z.astype(np.int64)
    u = np.abs(v) >> 9
    near, after = table[np.minimum(u, 255)], table[np.minimum(u + 1, 255)]
    r = np.where(u >= 255, 0x7FFF << 10, (near << 9) + (np.abs(v) & 511) * (after - near))
    return np.where(v >= 0, r + 512, (1 << 25) - r + 511) >> 10


def tanh_by_table(z, log2_scale, table):
    """TFLM's int16 TANH of inputs with scale 2**log2_scale, from the same table."""
    v = np.floor(3 * z * 2.0 ** (12 + log2_scale) + 0.5).astype(np.int64)
    u = np.abs(v) >> 8
    near, after = table[np.minimum(u, 255)], table[np.minimum(u + 1, 255)]
    r = np.where(u >= 255, 0xFFFF << 8, (near << 8) + (np.abs(v) & 255) * (after - near))
    return np.where(v >= 0, r - (1 << 23) + 128, -r + (1 << 23) + 127) >> 8


@NEEDS_TFLM
def test_sigmoid_table_reproduces_tflm_for_every_input():
    table = headers.sigmoid_table().astype(np.int64)
    assert np.array_equal(table, measured_sigmoid_table())
    z = np.arange(-32768, 32768)
    assert np.array_equal(sigmoid_by_table(z, table), run_activation("LOGISTIC", z, 2.0**-12))
    for log2_scale in range(-15, -8):
        tanh = run_activation("TANH", z, 2.0**log2_scale)
        assert np.array_equal(tanh_by_table(z, log2_scale, table), tanh)


def test_sigmoid_table_differs_from_rounding_by_one_at_most():
    table = headers.sigmoid_table()
    rounded = np.round(65536 / (1 + np.exp(-np.arange(256) / 24)))
    difference = table.astype(int) - np.minimum(rounded, 65535)
    assert table.dtype == np.uint16 and np.abs(difference).max() <= 1 and np.count_nonzero(difference) > 0
