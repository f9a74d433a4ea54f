"""Readings that several rows share: choices where the paper is silent or contradicts itself."""

from __future__ import annotations

from carrousel.contracts import Reading

RESET = Reading(
    "training.initial_activation",
    "0",
    "activations are reset to zero, as section 5.1 says. A later simulator from the first author's "
    "laboratory resets them to 0.5 instead",
)
GATE_BIAS = Reading(
    "network.init.gate_bias",
    "set to the values of Table 10, without a random part",
    "the paper says that biases are 'initialized with' these values. A later simulator from the "
    "first author's laboratory adds them to random weights instead",
)
GATHERED = Reading(
    "training.update",
    "sequence",
    "the paper does not say whether weights change after each step or each sequence. The appendix "
    "sums the changes over the steps, and so does the authors' later simulator",
)
TEN_TIMES = Reading(
    "budget",
    "at least ten times the published count; two to five times if T is 500 or 1000",
    "no budget is printed for this experiment. Ten times as many long sequences would take hours, "
    "and the authors' slowest trial of 4-3 took 2,020,000 sequences",
)
INTERVAL = Reading(
    "stop.every",
    "100",
    "the paper judges success by a test, but does not say how often the test was run",
)
AVERAGE = Reading(
    "stop.mean_below",
    "mean absolute error over the last 2000 sequences",
    "the paper does not define 'average training error'. Read as a squared error, a bound of 0.01 "
    "would have no effect: it holds whenever all sequences are right",
)
SQUASHES = Reading(
    "network.cell",
    "g in [-2,2], h in [-1,1]",
    "these are the ranges of equations (4) and (5); the caption of Table 10 swaps them",
)
MARKED = Reading(
    "task.first_pair",
    "if the first pair is marked, its value is set to 0 in the input too, and its marker to 1",
    "the text sets the value to 0, but does not say whether in the input or in the target alone. "
    "If the input kept its value, no network could know that the value does not count; none of 16 "
    "trials of 4-1 met the criterion then within 250,000 sequences",
)
PLAIN_ERROR = Reading(
    "training.output_derivative",
    "the output error is t - y, without the factor f'(net)",
    "this departs from equation (19). Its factor f'(net) vanishes where targets are close to 0 or "
    "1: if all units have biases, as printed, 4-1 took 583,000 sequences on average with it, and "
    "121,000 without (printed: 74,000); 5-1 took 1,065,000 and 367,000 (printed: 482,000)",
    departs=True,
)
