"""``nn.quantize``: int8 layers are near the layers they were made from, in every form of a call."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from carrousel import nn
from carrousel.errors import InputError, OptionTypeError, SettingError
from carrousel.kernels.autograd import dispatch
from carrousel.kernels.autograd.stored import bfloat16_layer
from support.case import case

T, B, I, H = 40, 5, 12, 48  # noqa: E741
BOUND = 0.02

LAYERS: dict[str, Any] = {
    "plain": lambda: nn.LSTM(I, H),
    "stacked, two directions": lambda: nn.LSTM(I, H, num_layers=2, bidirectional=True),
    "projected, batch first": lambda: nn.LSTM(I, H, proj_size=20, batch_first=True),
    "peephole, zoneout": lambda: nn.LSTM(I, H, cell="peephole", zoneout=0.1),
    "learned": lambda: nn.LSTM(I, H, initial_state="learned"),
    "gru": lambda: nn.GRU(I, H, num_layers=2),
    "gru, no bias": lambda: nn.GRU(I, H, bias=False),
    "rnn": lambda: nn.RNN(I, H),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def pair(name: str) -> tuple[Any, nn.Quantized]:
    layer = LAYERS[name]().eval()
    return layer, nn.quantize(layer)


def near(have: Any, want: Any) -> None:
    if isinstance(want, tuple):
        assert len(have) == len(want)
        for one, other in zip(have, want, strict=True):
            near(one, other)
        return
    assert (have.shape, have.dtype) == (want.shape, want.dtype)
    assert (have - want).abs().max() < BOUND


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_outputs_and_states(name):
    layer, small = pair(name)
    x = torch.randn(B, T, I) if layer.batch_first else torch.randn(T, B, I)
    output, state = layer(x)
    near(small(x), (output, state))
    assert not torch.equal(small(x)[0], output)
    state = tuple(torch.rand_like(part) for part in state) if type(state) is tuple else state
    near(small(x, state), layer(x, state))
    near(small(x[0]), layer(x[0]))  # one sequence
    lengths = torch.tensor([T, 1, 0, 7, T - 1])
    near(small(x, lengths=lengths), layer(x, lengths=lengths))
    near(small(x, lengths=lengths, padding="left"), layer(x, lengths=lengths, padding="left"))
    resets = torch.rand(x.shape[:2]) < 0.1
    near(small(x, resets=resets), layer(x, resets=resets))


@torch.no_grad()
def test_packed_sequences():
    layer, small = pair("stacked, two directions")
    x = torch.randn(T, B, I)
    packed = pack_padded_sequence(x, torch.tensor([T, 9, 9, 3, 1]))
    have, state = small(packed)
    want, expected = layer(packed)
    near(pad_packed_sequence(have)[0], pad_packed_sequence(want)[0])
    near(state, expected)


def test_a_quarter_of_the_bytes():
    layer, small = pair("stacked, two directions")

    def size(module: torch.nn.Module) -> int:
        return sum(t.numel() * t.element_size() for t in module.state_dict().values())

    assert size(small) < 0.3 * size(layer)
    assert not list(small.parameters())


def test_saved_copied_and_in_a_model():
    layer, small = pair("gru")
    x = torch.randn(T, B, I)
    with torch.no_grad():
        want = small(x)[0]
        file = io.BytesIO()
        torch.save(small.state_dict(), file)
        file.seek(0)
        other = nn.quantize(nn.GRU(I, H, num_layers=2))
        assert not torch.equal(other(x)[0], want)
        other.load_state_dict(torch.load(file))
        assert torch.equal(other(x)[0], want)
        assert torch.equal(copy.deepcopy(small)(x)[0], want)
        layer.weight_hh_l0.zero_()  # the copy keeps its weights
        assert torch.equal(small(x)[0], want)
    assert "GRU(12, 48, num_layers=2)" in repr(small)


def test_rows_do_not_depend_on_the_batch():
    _, small = pair("plain")
    x = torch.randn(T, B, I)
    x[:, 1] *= 1e3
    whole, _ = small(x)
    for b in range(B):
        with case(b):
            # Other tiles add in another order, and a number between two multiples moves.
            torch.testing.assert_close(small(x[:, b])[0], whole[:, b], rtol=0, atol=5e-3)


def test_wrong_layers():
    for wrong in (torch.nn.LSTM(3, 4), nn.LSTMCell(3, 4), None):
        with case(wrong), pytest.raises(OptionTypeError, match="expected an LSTM"):
            nn.quantize(wrong)  # pyright: ignore[reportArgumentType]
    for layer in (nn.LSTM(3, 4).double(), nn.GRU(3, 4).bfloat16(), nn.RNN(3, 4, device="meta")):
        with pytest.raises(SettingError, match=r"expected float32 on the CPU.*layer.float"):
            nn.quantize(layer)
    layer = nn.LSTM(3, 4)
    with torch.no_grad():
        layer.get_parameter("weight_ih_l0")[1, 1] = float("inf")
    with pytest.raises(SettingError, match="infinite or NaN"):
        nn.quantize(layer)


def test_cells_with_several_products_are_named_without_their_hash():
    pytest.importorskip("sympy")
    cell = nn.Equations(
        "reset_first",
        net_inputs=("r", "n"),
        equations="n_r = W @ (sigmoid(r) * h_prev)\nh = tanh(n)",
    )
    layer = nn.LSTM(3, 4, cell=cell)
    for call in (nn.quantize, lambda layer: nn.step(layer, storage="int8")):
        with pytest.raises(SettingError, match=r"cell 'reset_first' (has several|is not compiled)"):
            call(layer)


def test_layers_are_neither_exported_nor_converted():
    _, small = pair("plain")
    x = torch.randn(T, B, I)
    with pytest.raises(SettingError, match="cannot be exported or traced; export the float32"):
        torch.export.export(small, (x,))
    with pytest.raises(SettingError, match="cannot be exported or traced"):
        torch.fx.symbolic_trace(torch.nn.Sequential(small))
    with pytest.raises(SettingError, match=r"model\.0: .*float32 weights are lost.*skip=\['0'\]"):
        nn.restore(torch.nn.Sequential(small))
    with pytest.raises(SettingError, match=r"scales are torch\.float16 on cpu.*then call nn"):
        copy.deepcopy(small).half()(x.half())


def test_wrong_inputs():
    _, small = pair("plain")
    with pytest.raises(InputError, match="input"):
        small(torch.randn(T, B, I + 1))
    with pytest.raises(InputError, match=r"float64, expected torch\.float32.*input\.float\(\)"):
        small(torch.randn(T, B, I, dtype=torch.float64))
    x = torch.randn(T, B, I, requires_grad=True)
    with pytest.raises(SettingError, match=r"gradient.*no_grad"):
        small(x)
    with torch.no_grad():
        small(x)


@torch.no_grad()
def test_bfloat16_layers_read_their_weights_as_they_are(monkeypatch):
    """The same numbers as those of the float32 path, up to the last rounding to bfloat16."""
    for name, make in LAYERS.items():
        layer = make().eval().bfloat16()
        for steps, batch in ((T, 1), (1, B)):
            x = torch.randn(batch, steps, I) if layer.batch_first else torch.randn(steps, batch, I)
            used = []

            def spy(*arguments: Any, used: list[int] = used) -> Any:
                used.append(1)
                return bfloat16_layer(*arguments)

            with monkeypatch.context() as patch:
                patch.setattr(dispatch, "bfloat16_layer", spy)
                have = layer(x.bfloat16())
            with monkeypatch.context() as patch:
                patch.setattr(dispatch, "fits_bfloat16", lambda *_: False)
                want = layer(x.bfloat16())
            with case(name, steps):
                assert used
                torch.testing.assert_close(have, want, rtol=2**-7, atol=2**-8)
