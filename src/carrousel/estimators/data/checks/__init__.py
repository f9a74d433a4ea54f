"""Checks of training data: what would fail, or spoil a model, is found before training starts."""

from __future__ import annotations

from carrousel.estimators.data.checks.series import ConstantChannelWarning as ConstantChannelWarning
from carrousel.estimators.data.checks.series import check_apart as check_apart
from carrousel.estimators.data.checks.series import check_data_set as check_data_set
from carrousel.estimators.data.checks.series import check_groups as check_groups
from carrousel.estimators.data.checks.series import check_series as check_series
from carrousel.estimators.data.checks.series import check_weights as check_weights
from carrousel.estimators.data.checks.targets import check_labels as check_labels
from carrousel.estimators.data.checks.targets import check_magnitudes as check_magnitudes
from carrousel.estimators.data.checks.targets import check_step_targets as check_step_targets
from carrousel.estimators.data.checks.targets import check_targets as check_targets
from carrousel.estimators.data.checks.targets import check_two_classes as check_two_classes

__all__ = [
    "ConstantChannelWarning",
    "check_apart",
    "check_data_set",
    "check_groups",
    "check_labels",
    "check_magnitudes",
    "check_series",
    "check_step_targets",
    "check_targets",
    "check_two_classes",
    "check_weights",
]
