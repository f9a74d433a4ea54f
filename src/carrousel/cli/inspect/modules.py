"""Files of `carrousel.nn.save`, and of estimators, inspected on series."""

from __future__ import annotations

from pathlib import Path

from carrousel.cli.estimators.reading import columns_for, read_model, warnings_as_messages
from carrousel.cli.inspect.config import InspectConfig
from carrousel.cli.inspect.inspected import Call, Inspected
from carrousel.cli.inspect.series import classes_of, data_of, padded, read_some
from carrousel.errors import SettingError

_OF_OTHERS = (
    *("predict_next", "key", "stream", "steps"),
    *("recipe", "trial", "sequences", "gradient"),
)
"""Options of streams and of rows of the paper."""


def inspect_layer(config: InspectConfig) -> Inspected:
    """Inspect a layer or cell of ``carrousel.nn``."""
    config.refuse("a file of carrousel.nn.save", *_OF_OTHERS)
    from carrousel import nn
    from carrousel.inspection.arrays import call_of

    path = data_of(config, "a layer")
    module = nn.load(config.what)
    table, text = read_some(path, config.columns, config)
    model, inputs, loss, described = call_of(module, padded(table, path.name))
    if table.y is not None:
        described += f", against {', '.join(config.columns.target)}{classes_of(table)}"
    subject = f"{module!r} of {Path(config.what).name} on {text}"
    return Call(model, inputs, loss, subject, described, {}).inspected(config.said)


def inspect_estimator(config: InspectConfig) -> Inspected:
    """Inspect the first net of a file of ``carrousel fit``."""
    config.refuse("a file of carrousel fit", *_OF_OTHERS, "channels")
    path, model_path = data_of(config, "an estimator"), Path(config.what)
    model, stored = read_model(model_path)
    with warnings_as_messages():
        from carrousel.estimators.catalogue import task_of
        from carrousel.estimators.inspecting import training_call

        target = config.columns.target
        columns = columns_for(model, stored, id=config.id, time=config.time, target=target)
        task = task_of(model)
        if task != "forecast" and not columns.target:
            raise SettingError("the column of the truth is not named", fix="give --target COLUMN")
        table, text = read_some(path, columns, config, forecast=task == "forecast")
        call = training_call(model, table.series, table.y)
    nets = len(model.ensemble_.members)
    which = f"Net 1 of {nets} of" if nets > 1 else "The net of"
    subject = f"{which} the {type(model).__name__} of {model_path.name} on {text}"
    described = f"{_LOSSES[task]}, as in the training"
    return Call(call.net, call.inputs, call.loss, subject, described, {}).inspected(config.said)


_LOSSES = {
    "class": "cross-entropy of classes at every step, half of it at the last step",
    "value": "squared error of standardised values at every step, half of it at the last step",
    "tags": "loss of the target at each step",
    "forecast": "pinball loss of the quantiles of the next steps",
}
