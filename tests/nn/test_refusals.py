"""Wrong arguments: messages name the argument, its value and what was expected."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from carrousel.errors import CarrouselError, SettingError, ShapeError, UnknownNameError  # noqa: E402
from support.case import case  # noqa: E402

X = torch.zeros(4, 2, 3)
H = torch.zeros(1, 2, 5)

SETTINGS = [
    ("LSTM", {"input_size": 0}, SettingError, "input_size must be greater than zero, but it is 0"),
    ("LSTM", {"hidden_size": 2.5}, TypeError, r"hidden_size should be of type int, got: float"),
    ("LSTM", {"hidden_size": True}, TypeError, r"hidden_size should be of type int, got: bool"),
    ("GRU", {"num_layers": -1}, ValueError, "num_layers must be greater than zero, but it is -1"),
    ("RNN", {"bias": None}, TypeError, r"bias should be of type bool, got: NoneType \(None\)"),
    ("LSTM", {"dropout": 1.5}, ValueError, r"dropout is 1\.5, expected a probability from 0 to 1"),
    ("LSTM", {"dropout": True}, ValueError, "dropout is True, expected a finite number"),
    ("LSTM", {"proj_size": 5}, ValueError, "proj_size is 5, expected less than hidden_size"),
    ("LSTM", {"proj_size": -1}, ValueError, "proj_size is -1, expected a whole number"),
    ("GRU", {"proj_size": 2}, ValueError, "proj_size argument is only supported for LSTM"),
    ("RNN", {"proj_size": 0}, ValueError, "proj_size argument is only supported for LSTM"),
    ("RNN", {"nonlinearity": "tank"}, ValueError, "Unknown nonlinearity 'tank'; .*'tanh'"),
    ("RNNCell", {"nonlinearity": 1}, UnknownNameError, "Unknown nonlinearity 1; expected one of"),
    ("LSTM", {"cell": "lstm_97"}, UnknownNameError, "'lstm_97' is unknown; did you mean 'lstm97'"),
    ("LSTM", {"cell": "gru"}, ValueError, r"'gru' is not an LSTM cell; use carrousel\.nn\.GRU"),
    ("LSTM", {"cell": 3}, TypeError, "cell is 3, expected one of 'lstm', .* or a carrousel.nn.Equ"),
    (
        "LSTM",
        {"cell": "user:missing"},
        UnknownNameError,
        r"create .*Equations\('missing', \.\.\.\) and pass it as cell",
    ),
    ("LSTM", {"block_size": 5}, SettingError, "'lstm' has no block_size.* belong to .*'lstm97'"),
    (
        "LSTM",
        {"cell": "lstm97", "block_size": 2},
        SettingError,
        "block_size is 2, .*divisor of.* 5",
    ),
    ("LSTM", {"gate_sources": True}, SettingError, "no block_size, .*gate_sources.*lstm97"),
    (
        "LSTM",
        {"cell": "lstm97", "gate_sources": True, "proj_size": 2},
        SettingError,
        "'lstm97' takes no projection here; .*without gate_sources",
    ),
    ("LSTM", {"cell": "lstm97", "g_range": 0}, SettingError, "g_range is 0, .* above 0"),
    ("LSTM", {"h_range": 2.0}, SettingError, "'lstm' has no .*h_range.*lstm97"),
    ("LSTM", {"layer_norm": 1}, TypeError, "layer_norm should be of type bool, got: int"),
    ("LSTM", {"zoneout": 2}, SettingError, "zoneout is 2, expected a probability from 0 to 1"),
    ("LSTM", {"zoneout": (0.1,)}, SettingError, r"zoneout is \(0\.1,\), .*\(zone_h, zone_c\)"),
    ("GRU", {"zoneout": (0.1, 0.2)}, SettingError, "'gru' has no state besides h; give one"),
    ("LSTM", {"recurrent_dropout": 1.0}, SettingError, "probability below 1"),
    ("LSTM", {"cell": "lstm97", "forget_bias": 1.0}, SettingError, "no forget gate; cells that"),
    ("LSTM", {"forget_bias": 1.0, "bias": False}, SettingError, "bias is False; set bias=True"),
    ("LSTM", {"forget_bias": float("nan")}, SettingError, "forget_bias is nan, expected a finite"),
    ("LSTM", {"initial_state": "lerned"}, UnknownNameError, "did you mean 'learned'"),
    ("LSTM", {"gradient": "tbptt"}, SettingError, "gradient is 'tbptt', expected 'bptt'"),
    ("LSTM", {"gradient": 3}, SettingError, "gradient is 3, expected 'bptt'"),
    ("LSTM", {"recompute": -1}, SettingError, "recompute is -1, expected a whole number"),
    ("LSTM", {"recompute": "sqrt"}, UnknownNameError, "'sqrt', expected 'auto' or a whole number"),
    ("LSTM", {"dtype": torch.int32}, TypeError, r"dtype is torch\.int32, expected a floating"),
    ("GRUCell", {"dtype": "float32"}, TypeError, "dtype is 'float32', expected a floating"),
    ("LSTM", {"device": "gpu"}, SettingError, "device is 'gpu', expected a torch device"),
]


def test_settings():
    for name, settings, error, message in SETTINGS:
        with case(name, settings):
            with pytest.raises(CarrouselError, match=message) as caught:
                getattr(nn, name)(**{"input_size": 3, "hidden_size": 5, **settings})
            assert isinstance(caught.value, error)


def test_errors_have_fields():
    with pytest.raises(SettingError) as caught:
        nn.LSTM(3, 5, forget_bias=1.0, bias=False)
    error = caught.value
    assert (error.argument, error.got, error.fix) == ("forget_bias", 1.0, "set {bias}=True")
    assert error.text(argument="--{}".format).endswith("set --bias=True")
    with pytest.raises(UnknownNameError) as unknown:
        nn.LSTM(3, 5, cell="lstm_97")  # pyright: ignore[reportArgumentType]
    assert (unknown.value.argument, unknown.value.got) == ("cell", "lstm_97")
    with pytest.raises(ShapeError) as wrong:
        nn.LSTM(3, 5)(X, lengths=[5, 1])
    assert wrong.value.argument == "lengths"


CALLS = [
    ("LSTM", (X[..., :2],), {}, r"input has shape \(4, 2, 2\), .* the last of size 3"),
    ("LSTM", (X[0, 0],), {}, r"input has shape \(3,\), expected \(T, B, I\), or \(T, I\)"),
    ("GRU", (X[None],), {}, r"GRU: input has shape \(1, 4, 2, 3\)"),
    ("LSTM", (X.double(),), {}, r"input dtype \(torch.float64\) does not match weight dtype"),
    ("LSTM", (X.to("meta"),), {}, "input is on device meta, expected cpu, where the weights are"),
    ("LSTM", (X.numpy(),), {}, "input is of type ndarray, expected a torch.Tensor"),
    ("LSTM", (X, H), {}, r"hx is a tensor of shape \(1, 2, 5\), expected a pair of tensors"),
    ("LSTM", (X, (H,)), {}, "hx is a tuple of 1, expected a pair of tensors"),
    ("LSTM", (X, (H, 3)), {}, r"hx\[1\] is of type int, expected a torch.Tensor"),
    (
        "LSTM",
        (X, (H, H[:, :1])),
        {},
        r"hx\[1\] has shape \(1, 1, 5\), .* = \(1, 2, 5\) for any",
    ),
    ("LSTM", (X, (H.double(), H)), {}, r"hx\[0\]: RNN input dtype \(torch.float64\)"),
    ("LSTM", (X[:, 0], (H, H)), {}, r"= \(1, 5\) because input is unbatched"),
    ("GRU", (X, (H, H)), {}, "hx is a tuple of 2, expected a torch.Tensor"),
    ("LSTM", (X,), {"lengths": [4]}, r"lengths has shape \(1,\), expected \(2,\): one for each"),
    ("LSTM", (X,), {"lengths": [5, 1]}, "lengths contains 5, expected whole numbers from 0 to 4"),
    ("LSTM", (X,), {"lengths": [4, -1]}, "lengths contains -1, expected whole numbers from 0 to 4"),
    ("LSTM", (X,), {"lengths": [4.0, 1.0]}, r"lengths has type torch\.float32, expected whole"),
    ("LSTM", (X,), {"lengths": [True, True]}, r"lengths has type torch\.bool, expected whole"),
    ("LSTM", (X,), {"padding": "left"}, "padding is 'left', but no lengths were given; pass len"),
    ("LSTM", (X,), {"lengths": "42"}, "lengths is not a tensor, array or list of numbers"),
    (
        "LSTM",
        (X[:, 0],),
        {"lengths": [4]},
        r"lengths were given with unbatched.* \(4, 3\)",
    ),
    ("LSTM", (X,), {"resets": np.zeros((4, 2))}, r"resets has type torch\.float64, expected torch"),
    (
        "LSTM",
        (X,),
        {"resets": np.zeros((2, 4), bool)},
        r"resets has shape \(2, 4\), expected \(T, B\) = \(4, 2\)",
    ),
    (
        "LSTM",
        (X[:, 0],),
        {"resets": np.zeros((4, 1), bool)},
        r"resets has shape \(4, 1\), expected \(T,\) = \(4,\)",
    ),
    ("GRUCell", (X[0], H), {}, "Expected hidden to be 1D or 2D, got 3D instead"),
    ("GRUCell", (X[0], H[0, 0]), {}, r"hidden has shape \(5,\), expected \(B, width\)"),
    ("LSTMCell", (X[0], H[0]), {}, "hx is a tensor of shape .*expected a pair"),
    ("LSTMCell", (X[0], (H[0], 1)), {}, r"Expected hx\[1\] to be a torch.Tensor, got of type int"),
    ("LSTMCell", (X,), {}, "Expected input to be 1D or 2D, got 3D instead"),
    ("RNNCell", (X[0].half(),), {}, r"input dtype \(torch.float16\) does not match"),
]


def test_calls():
    for name, args, kwargs, message in CALLS:
        module = getattr(nn, name)(3, 5)
        for error in (ShapeError, RuntimeError, ValueError):  # torch raises the last two
            with case(message, error), pytest.raises(error, match=message):
                module(*args, **kwargs)


def test_messages_suggest_only_possible_fixes():
    with pytest.raises(ShapeError, match=r"Convert input: input\.to\(torch\.float32\)$"):
        nn.LSTM(3, 5)(X.long())
    with pytest.raises(SettingError, match=r"module is a torch\.nn.*LSTM, expected an LSTM"):
        nn.step(torch.nn.LSTM(3, 5))  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"return_states should be of type bool, got: int \(1\)"):
        nn.LSTM(3, 5)(X, return_states=1)


def test_messages_follow_batch_first():
    module = nn.LSTM(3, 5, batch_first=True)
    with pytest.raises(ShapeError, match=r"expected \(B, T\) = \(2, 4\)"):
        module(X.transpose(0, 1), resets=np.zeros((4, 2), bool))
    with pytest.raises(ShapeError, match=r"expected \(B, T, I\)"):
        module(X[0, 0])


def test_unknown_padding():
    with pytest.raises(UnknownNameError, match="padding 'lef' is unknown; did you mean 'left'"):
        nn.LSTM(3, 5)(X, lengths=[1, 2], padding="lef")


def test_lengths_with_a_packed_batch():
    packed = torch.nn.utils.rnn.pack_padded_sequence(X, [4, 2])
    with pytest.raises(ShapeError, match="lengths were given with a PackedSequence"):
        nn.LSTM(3, 5)(packed, lengths=[4, 2])
    with pytest.raises(ShapeError, match=r"input\.data has shape \(6, 3\), .* of size 2"):
        nn.LSTM(2, 5)(packed)


def test_unknown_layer_or_direction():
    with pytest.raises(SettingError, match="layer is 1 and direction 0, expected below 1 and 1"):
        nn.LSTM(3, 5).layer_weights(1, 0)
    with pytest.raises(SettingError, match="a cell has only layer 0"):
        nn.LSTMCell(3, 5).layer_weights(0, 1)


SCRIPT = """
import sys
import carrousel
assert not {{"torch", "carrousel.nn", "sympy", "numba"}} & set(sys.modules), "carrousel is slow"
{block}
try:
    import carrousel.nn
except ImportError as error:
    print(type(error).__name__, error)
else:
    print(sorted({{"sympy", "numba", "onnx", "safetensors"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("block", "output"),
    [
        (
            "sys.modules['torch'] = None",
            "MissingExtraError carrousel.nn needs torch, which is not installed; "
            "pip install 'carrousel[torch]'",
        ),
        ("", "[]"),
    ],
    ids=["without torch", "with torch"],
)
def test_extras_are_imported_lazily(block, output):
    script = SCRIPT.format(block=block)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == output, run.stderr


def test_public_names_agree():
    visible = {
        name
        for name, value in vars(nn).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith(("carrousel.nn", "carrousel.errors"))
    }
    assert visible == set(nn.__all__)
    assert len(nn.__all__) == len(set(nn.__all__))


def test_malformed_packed_batches():
    """A batch is refused unless ``pack_padded_sequence`` could have made it."""
    from torch.nn.utils.rnn import PackedSequence

    data = torch.randn(6, 3)
    for sizes, order, text in [
        ([3, 4], None, "batch_sizes[1] is 4, expected positive sizes that never increase"),
        ([3, 3, 0], None, "batch_sizes[2] is 0"),
        ([0, 6], None, "batch_sizes[0] is 0"),
        ([7, -1], None, "batch_sizes[1] is -1"),
        ([3, 2], None, "batch_sizes has the sum 5, expected 6"),
        ([4, 3], None, "batch_sizes has the sum 7, expected 6"),
        ([], None, "batch_sizes has shape (0,)"),
        ([[6]], None, "batch_sizes has shape (1, 1)"),
        ([4, 2], ([0, 1, 2], [0, 1, 2]), "are not inverse to each other"),
        ([4, 2], ([0, 1, 2, 4], [0, 1, 2, 3]), "are not inverse to each other"),
        ([4, 2], ([0, 1, 2, 2], [0, 1, 2, 3]), "are not inverse to each other"),
        ([4, 2], ([1, 2, 3, 0], [1, 2, 3, 0]), "are not inverse to each other"),
        ([4, 2], ([[0, 1, 2, 3]], [0, 1, 2, 3]), "sorted_indices has shape (1, 4)"),
    ]:
        indices = (None, None) if order is None else tuple(map(torch.tensor, order))
        packed = PackedSequence(data, torch.tensor(sizes, dtype=torch.int64), *indices)
        for module in (nn.GRU(3, 5), nn.LSTM(3, 5, bidirectional=True)):
            with case(sizes, order), pytest.raises(ShapeError, match=re.escape(text)):
                module(packed)
    good = PackedSequence(data, torch.tensor([4, 2]), torch.tensor([1, 2, 3, 0]))
    assert nn.GRU(3, 5)(good)[0].data.shape == (6, 5)
