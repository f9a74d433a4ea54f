"""Frozen results of the native kernel: weights after learning, bit by bit.

Data and initial weights are made by integer arithmetic, so that the weights depend on the kernel
alone. If a digest changes, so do all trials: raise ``carrousel.kernels.KERNEL_VERSION``, and write
the new table, which this command prints for the instruction sets of the processor:

    python tests/kernels/native/test_frozen.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from carrousel.contracts import Cell, Init, Network, Training
from carrousel.experiments import EXPERIMENTS
from carrousel.kernels import NativeKernel, instruction_sets
from carrousel.sequences import Sequences

pytestmark = pytest.mark.native

FROZEN: Mapping[str, Mapping[str, str]] = {
    "avx512": {
        "1-1": "c50d469048121ba73297869c9de095f3a9d8bee1056e43768167aa8010cf8ab8",
        "2a": "c55d358b34d6acbf339436c850179dfb3182b09141f87ab01139ebad39bca89c",
        "2c-1": "a8852e933a59c539dcfdf326179fbb916098173fab3bed9bdd5691ba35609891",
        "3a-1": "2afc34a83c7c23d055181c006a57707bbccaf50120cb7611685efb8b86885484",
        "4-1": "363988bf61535308fd1ddc9b65b54b11c7678c51f40870bb36a4a240c3e6fd5b",
        "6b": "ea808a5023cc9d2c95127acd809a3e989e8d179bf23f6fc44145aa248f084e5e",
        "1-1 today": "7aeb8b6fda828369d1d357d96fd497ee7e416edc699ba075f7772dbf589d024a",
        "2a today": "fd8570412106b6881dc3b78f330aabf1ae021603d59fe7af20380abc9111bee7",
        "2c-1 today": "eb2cf82cac5e0a3dc9c4e296f8c9b3f5bdb45adcc67e657f97bb7e94ef5429cf",
        "4-1 today": "f81f3db262b563dd6b1a5e6911f349075dd3777904dc0cb43e3bd6f06eef97d6",
        "6b today": "799c54df20a3871938dda029a2da91175e9c8bff9a727baa192a267067015206",
    },
    "avx2": {
        "1-1": "c50d469048121ba73297869c9de095f3a9d8bee1056e43768167aa8010cf8ab8",
        "2a": "c55d358b34d6acbf339436c850179dfb3182b09141f87ab01139ebad39bca89c",
        "2c-1": "a8852e933a59c539dcfdf326179fbb916098173fab3bed9bdd5691ba35609891",
        "3a-1": "2afc34a83c7c23d055181c006a57707bbccaf50120cb7611685efb8b86885484",
        "4-1": "363988bf61535308fd1ddc9b65b54b11c7678c51f40870bb36a4a240c3e6fd5b",
        "6b": "ea808a5023cc9d2c95127acd809a3e989e8d179bf23f6fc44145aa248f084e5e",
        "1-1 today": "7aeb8b6fda828369d1d357d96fd497ee7e416edc699ba075f7772dbf589d024a",
        "2a today": "fd8570412106b6881dc3b78f330aabf1ae021603d59fe7af20380abc9111bee7",
        "2c-1 today": "eb2cf82cac5e0a3dc9c4e296f8c9b3f5bdb45adcc67e657f97bb7e94ef5429cf",
        "4-1 today": "f81f3db262b563dd6b1a5e6911f349075dd3777904dc0cb43e3bd6f06eef97d6",
        "6b today": "799c54df20a3871938dda029a2da91175e9c8bff9a727baa192a267067015206",
    },
    "plain": {
        "1-1": "33c612a6a6972c1544eb628432bfec5fb1b0999bab9f877ac0292faeb9b0c5c5",
        "2a": "16a5b7404e4a378a26c0a31b3a5ca8df21356435b216ca9119efafb0098f8bf9",
        "2c-1": "566e910f0ff00e689398adcc8576ccedfa6299242ef2d1e6bdc89a35c5de2c60",
        "3a-1": "455e1a80ca198c2c4e3addc44a493442c9b76549c61adcbd6f300ebd77b69f46",
        "4-1": "3cce447e79eee505f3ecfee372b0e2dfbbe61214e20f09c2807a0773220ca4cd",
        "6b": "7fda3a9cf7b51bc220df823dcaafad5237a172ae9f4668d2f85cd06d0dce53a3",
        "1-1 today": "7e0cdf366003ba6a4877496a9845c4bd7af4a744a1388e4781c591f844fc1767",
        "2a today": "a07c64c157536b942c7f1d7e3f71f7d03ea27eaaec961d4ce5aab08cb952193c",
        "2c-1 today": "5e7b35207865df66e47c61b24fa9d1e83554c26667d6791c481af27442160533",
        "4-1 today": "a86341491e1c57136a0c9a0728055df664c1a3917d52cfb16a5858f04831a9de",
        "6b today": "77589b1e4c0b4d61be3921fc6c2ff1d7b909f22d472c16413bde0836a67c05cb",
    },
}
"""Digests by instruction set and row."""
DATA = "fc4b1b986ca8ea74086f469103bac1371a24667805d7098e5c701bdef0b9b4cc"
"""Digest of the data of one lane of each row."""

LANES = 5
CALLS = 2


@dataclass(frozen=True)
class Lesson:
    """Data that suit a row's network.

    Args:
        sequences: number of sequences of each lane.
        shortest: least number of steps of a sequence.
        longest: greatest number of steps.
        symbolic: whether inputs are symbols.
        classes: whether targets are classes.
        always: whether each step has a target, rather than the last one alone.
    """

    sequences: int
    shortest: int
    longest: int
    symbolic: bool = False
    classes: bool = False
    always: bool = False


def settings_of(name: str) -> tuple[Network, Training]:
    """Network and training of a lesson: a row of that name with fixed settings, or a row of today.

    The first six were frozen with these settings; the rows have other ones since.
    """
    nets = {
        "1-1": Network(
            7,
            7,
            Cell(4, 1, g="[-1,1]", h="[-2,2]"),
            bias="gates",
            init=Init(0.2, output_gate_bias=(-1.0, -2.0, -3.0, -4.0)),
        ),
        "2a": Network(
            101,
            101,
            Cell(1, 1, g="[0,1]", h="identity", output_gate=False),
            wiring="layered",
            init=Init(0.2, input_gate_weights=-4.0),
        ),
        "2c-1": Network(54, 2, Cell(2, 1), init=Init(0.02)),
        "4-1": Network(2, 1, Cell(2, 2, g="[-2,2]", h="[-2,2]"), bias="all"),
        "6b": Network(8, 8, Cell(3, 2), bias="all"),
    }
    trainings = {
        "1-1": Training(rate=0.1, update="step"),
        "2a": Training(rate=4.0, update="step", cells_added_after=1000),
        "2c-1": Training(rate=0.01),
        "4-1": Training(rate=0.5, output_derivative=False),
        "6b": Training(rate=0.1),
    }
    if name in nets:
        return nets[name], trainings[name]
    row = EXPERIMENTS[name.partition(" ")[0]]
    return row.network, row.training


LESSONS = {
    "1-1": Lesson(300, 8, 20, symbolic=True, classes=True, always=True),
    "2a": Lesson(200, 3, 12, symbolic=True, classes=True, always=True),
    "2c-1": Lesson(300, 20, 40, symbolic=True, classes=True),
    "3a-1": Lesson(300, 20, 60),
    "4-1": Lesson(300, 20, 60),
    "6b": Lesson(300, 20, 60, symbolic=True, classes=True),
}
LESSONS |= {f"{name} today": LESSONS[name] for name in ("1-1", "2a", "2c-1", "4-1", "6b")}


def bits(seed: int, n: int) -> np.ndarray:
    """Uniform numbers of 24 bits, by SplitMix64 (Steele, Lea & Flood 2014)."""
    z = np.uint64(seed) * np.uint64(2**40) + np.arange(1, n + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


def below(seed: int, n: int, most: int) -> np.ndarray:
    """Whole numbers from 0 to below ``most``."""
    return (bits(seed, n) % np.uint64(most)).astype(np.int64)


def values(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Multiples of 2**-23 from -1 to below 1; float32 holds them exactly."""
    whole = bits(seed, int(np.prod(shape))).astype(np.int64) - 2**23
    return (whole.astype(np.float32) / np.float32(2**23)).reshape(shape)


def lesson_of(name: str, lane: int) -> Sequences:
    """Data of one lane."""
    lesson, (network, _) = LESSONS[name], settings_of(name)
    seed = 100 * lane + 1
    n, spread = lesson.sequences, lesson.longest - lesson.shortest + 1
    offsets = np.cumsum(np.concatenate([[0], lesson.shortest + below(seed, n, spread)]))
    steps, inputs, outputs = int(offsets[-1]), network.n_inputs, network.n_outputs
    target_steps = np.arange(steps) if lesson.always else offsets[1:] - 1
    m = len(target_steps)
    return Sequences(
        inputs=below(seed + 1, steps, inputs).astype(np.int32)
        if lesson.symbolic
        else values(seed + 1, (steps, inputs)),
        n_inputs=inputs,
        offsets=offsets.astype(np.int64),
        targets=below(seed + 2, m, outputs).astype(np.int32)
        if lesson.classes
        else np.abs(values(seed + 2, (m, outputs))),
        n_outputs=outputs,
        target_steps=target_steps.astype(np.int64),
    )


def digest(name: str, instruction_set: str) -> str:
    """SHA-256 of the weights of all lanes after learning, as little-endian float32."""
    network, training = settings_of(name)
    data = [lesson_of(name, lane) for lane in range(LANES)]
    weights = values(7, (LANES, network.n_weights)) * np.float32(0.25)
    rates = np.array([0.5, 0.25, 0.125, 0.0625, 1.0], np.float32)
    cells_from = np.array([0, 0, 10, 0, 300], np.int64)
    kernel = NativeKernel(instruction_set=instruction_set)
    half = LESSONS[name].sequences // CALLS
    for call in range(CALLS):
        parts = [part[call * half : (call + 1) * half] for part in data]
        waits = np.maximum(cells_from - call * half, 0)
        kernel.learn(network, training, weights, rates, waits, parts)
    assert np.isfinite(weights).all()
    return hashlib.sha256(weights.astype("<f4").tobytes()).hexdigest()


def found(instruction_set: str) -> dict[str, str]:
    """Digests of all rows."""
    return {name: digest(name, instruction_set) for name in LESSONS}


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_weights_after_learning_are_frozen(instruction_set: str):
    if instruction_set not in FROZEN:
        pytest.skip(f"no digests of {instruction_set}")
    assert found(instruction_set) == FROZEN[instruction_set]


def test_data_are_made_of_integers():
    """Their digest too is frozen, so that a change of NumPy is not mistaken for the kernel's."""
    whole = hashlib.sha256()
    for name in LESSONS:
        if name.endswith("today"):
            continue  # has the data of the other lesson of that row
        part = lesson_of(name, 1)
        for array in (part.inputs, part.targets, part.offsets, part.target_steps):
            little = array.astype(array.dtype.newbyteorder("<"))
            whole.update(little.tobytes())
    assert whole.hexdigest() == DATA


def main() -> None:
    """Print the table of this processor."""
    print("FROZEN: Mapping[str, Mapping[str, str]] = {")
    for instruction_set in instruction_sets():
        print(f'    "{instruction_set}": {{')
        for name, value in found(instruction_set).items():
            print(f'        "{name}": "{value}",')
        print("    },")
    print("}")


if __name__ == "__main__":
    main()
