"""Files of modules: what load returns, which files it rejects, and safety against crashes."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from carrousel import nn  # noqa: E402
from carrousel.errors import SettingError, UnwritableError  # noqa: E402
from carrousel.nn.checkpoint import checksum  # noqa: E402
from support.case import case  # noqa: E402
from support.nn.modules import close  # noqa: E402

DATA = Path(__file__).parent / "data"

MODULES = {
    "LSTM": lambda: nn.LSTM(2, 3, 2, bidirectional=True, zoneout=(0.1, 0.2), forget_bias=1.0),
    "1997": lambda: nn.LSTM(
        2, 4, cell="lstm97", block_size=2, gate_sources=True, dtype=torch.float64
    ),
    "rich": lambda: nn.LSTM(
        2,
        3,
        cell="peephole",
        layer_norm=True,
        initial_state="learned",
        gradient="tbptt:5",
        recompute="auto",
        batch_first=True,
        bias=False,
        proj_size=2,
        dtype=torch.bfloat16,
    ),
    "GRU": lambda: nn.GRU(2, 3, 2, dropout=0.5, zoneout=0.25, recurrent_dropout=0.1),
    "RNN": lambda: nn.RNN(2, 3, nonlinearity="relu"),
    "LSTMCell": lambda: nn.LSTMCell(2, 3, cell="coupled", forget_bias=1.0),
    "GRUCell": lambda: nn.GRUCell(2, 3, layer_norm=True),
    "RNNCell": lambda: nn.RNNCell(2, 3, nonlinearity="relu", bias=False),
}


def test_load_returns_what_was_saved(tmp_path):
    path = tmp_path / "module.safetensors"
    for name, create in MODULES.items():
        with case(name):
            check_load(create(), path)
            assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def check_load(module, path):
    nn.save(module, path)
    before = torch.get_rng_state()
    again = nn.load(path)
    assert torch.equal(before, torch.get_rng_state())
    assert type(again) is type(module)
    assert repr(again) == repr(module)
    assert again.settings() == module.settings()
    for key, weight in module.state_dict().items():
        other = again.state_dict()[key]
        assert torch.equal(weight, other)
        assert weight.dtype == other.dtype
    assert all(weight.requires_grad for weight in again.parameters())
    assert list(again.state_dict()) == list(module.state_dict())


@pytest.mark.parametrize("name", ["lstm", "equations"])
def test_files_of_an_earlier_version_load(name):
    """An earlier version of the package wrote these files and the outputs of the saved modules."""
    if name == "equations":
        pytest.importorskip("sympy")
    module = nn.load(DATA / f"{name}.safetensors").eval()
    expected = safetensors.load_file(DATA / f"{name}_outputs.safetensors")
    lengths = {"lstm": [5, 2, 4], "equations": [3, 2, 0, 1, 3]}[name]
    with torch.no_grad():
        output, (h_n, c_n) = module(expected["x"], lengths=lengths)
    close((output, h_n, c_n), [expected[key] for key in ("output", "h_n", "c_n")])


def test_file_of_an_earlier_version_has_all_options():
    module = nn.load(DATA / "lstm.safetensors")
    assert repr(module) == (
        "LSTM(2, 4, num_layers=2, batch_first=True, bidirectional=True, cell=peephole, "
        "layer_norm=True, zoneout=(0.1, 0.2), recurrent_dropout=0.25, forget_bias=1.0, "
        "initial_state=learned, gradient=tbptt:3, recompute=auto)"
    )
    assert module.weight_ih_l0.dtype == torch.float64


def test_loaded_module_computes_and_learns(tmp_path):
    module = nn.LSTM(2, 3, dtype=torch.float64)
    nn.save(module, tmp_path / "a")
    again = nn.load(tmp_path / "a")
    x = torch.randn(4, 2, 2, dtype=torch.float64)
    close(module(x), again(x))
    again(x)[0].sum().backward()
    torch.optim.SGD(again.parameters(), 0.1).step()


def test_user_defined_cell_is_loaded_with_its_equations(tmp_path):
    pytest.importorskip("sympy")
    cell = nn.Equations(
        "leak",
        net_inputs=("i", "z"),
        states=("c",),
        unit_parameters=("p",),
        equations="i = sigmoid(i)\nc = p * c_prev + i * tanh(z)\nh = tanh(c)",
    )
    module = nn.LSTM(2, 3, cell=cell)
    nn.save(module, tmp_path / "own")
    again = nn.load(tmp_path / "own")
    assert again.cell == cell
    assert again.cell is not cell
    x = torch.randn(4, 2, 2)
    close(module(x), again(x))


def test_other_tools_read_the_weights(tmp_path):
    module, theirs = nn.LSTM(2, 3), torch.nn.LSTM(2, 3)
    nn.save(module, tmp_path / "a")
    theirs.load_state_dict(safetensors.load_file(tmp_path / "a"))
    x = torch.randn(4, 2, 2)
    close(module(x), theirs(x))


def test_other_classes_cannot_be_saved(tmp_path):
    class Mine(nn.LSTM):
        pass

    for module in (torch.nn.LSTM(2, 3), Mine(2, 3), torch.nn.Linear(2, 3)):
        with pytest.raises(SettingError, match=f"module is a .*{type(module).__name__}, expected"):
            nn.save(module, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def saved(tmp_path, **changes) -> bytes:
    nn.save(nn.LSTM(2, 3), tmp_path / "good")
    data = (tmp_path / "good").read_bytes()
    tensors = safetensors.load(data)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["carrousel.nn"])
    header |= changes
    header["crc32"] = checksum(header, tensors)
    return safetensors.save(tensors, {"carrousel.nn": json.dumps(header)})


BAD_HEADERS = {
    "newer": ({"format": 2}, "format 2, expected 1; update carrousel"),
    "class": ({"class": "Linear"}, "contains a 'Linear', expected one of LSTM"),
    "settings": ({"settings": [1]}, "contains a 'LSTM', expected"),
    "shape": (
        {"settings": {"input_size": 2, "hidden_size": 4}},
        r"contradicts itself: (?s:.*)size mismatch",
    ),
    "missing": ({"settings": {"input_size": 2}}, "contradicts itself: .*hidden_size"),
    "unknown": (
        {"settings": {"input_size": 2, "hidden_size": 3, "evil": 1}},
        "contradicts itself: .*evil",
    ),
    "choice": (
        {"settings": {"input_size": 2, "hidden_size": 3, "cell": "user:missing"}},
        "contradicts itself: .*user:missing",
    ),
    "huge": (
        {"settings": {"input_size": 2**60, "hidden_size": 2**20}},
        "contradicts itself",
    ),
    "deep": (
        {"settings": {"input_size": 2, "hidden_size": 3, "num_layers": 10**12}},
        "contradicts itself: num_layers is more than the 4 tensors",
    ),
}


def test_wrong_headers(tmp_path):
    for name, (changes, message) in BAD_HEADERS.items():
        (tmp_path / "bad").write_bytes(saved(tmp_path, **changes))
        with case(name), pytest.raises(nn.CheckpointError, match=message):
            nn.load(tmp_path / "bad")


def test_unchanged_header_is_valid(tmp_path):
    (tmp_path / "same").write_bytes(saved(tmp_path))
    assert repr(nn.load(tmp_path / "same")) == "LSTM(2, 3)"


class Bomb:
    def __reduce__(self):
        return os.abort, ()


FOREIGN = {
    "empty": b"",
    "text": b"not a checkpoint, but long enough to look like one",
    "pickle": pickle.dumps(Bomb()),
    "safetensors": safetensors.save({"a": torch.zeros(2)}),
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(1000),
    "nested": (lambda text: len(text).to_bytes(8, "little") + text)(b"[" * 100_000),
}


def test_foreign_files(tmp_path):
    for name, data in FOREIGN.items():
        (tmp_path / "bad").write_bytes(data)
        message = r"bad was not written by carrousel\.nn\.save"
        with case(name), pytest.raises(nn.CheckpointError, match=message):
            nn.load(tmp_path / "bad")


def test_damaged_files_are_rejected_or_load_unchanged(tmp_path):
    """Damage to padding bytes may go unnoticed; the loaded module must then be the saved one."""
    module, bad = nn.LSTM(1, 1), tmp_path / "bad"
    nn.save(module, tmp_path / "good")
    data = (tmp_path / "good").read_bytes()
    for length in range(0, len(data), 7):
        bad.write_bytes(data[:length])
        with pytest.raises(nn.CheckpointError):
            nn.load(bad)
    refused = 0
    for place in range(len(data)):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            again = nn.load(bad)
        except nn.CheckpointError:
            refused += 1
            continue
        close(tuple(again.parameters()), tuple(module.parameters()))
        assert again.settings() == module.settings()
    assert refused > 0.9 * len(data)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "nothing")


def test_crash_while_saving_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "module"
    nn.save(nn.LSTM(2, 3), path)
    old = path.read_bytes()

    def crash(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        nn.save(nn.LSTM(2, 4), path)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["module"]


def test_file_permissions(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    nn.save(nn.LSTM(2, 3), tmp_path / "module")
    assert (tmp_path / "module").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_missing_folder(tmp_path):
    path = tmp_path / "nowhere" / "model.safetensors"
    with pytest.raises(
        UnwritableError, match=r"model\.safetensors cannot be written: No such file"
    ):
        nn.save(nn.LSTM(2, 3), path)
    assert not path.parent.exists()
