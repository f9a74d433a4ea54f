"""`carrousel score`."""

from __future__ import annotations

from carrousel.cli.estimators.config import ScoreConfig
from carrousel.cli.estimators.display import contents, footer, put_measures, write_report
from carrousel.cli.estimators.reading import (
    check_report_extra,
    columns_for,
    read_data,
    read_model,
    warnings_as_messages,
)
from carrousel.cli.flags.option import listed, with_options
from carrousel.cli.screen import put_json, say
from carrousel.errors import SettingError


@with_options(ScoreConfig)
def score(config: ScoreConfig) -> None:
    """Compare predictions of a model with the truth in a file.

    A forecaster forecasts the last steps of each series from the steps before.
    """
    config.check()
    check_report_extra(config.report)
    model, stored = read_model(config.model)
    with warnings_as_messages():
        from carrousel.estimators.catalogue import task_of
        from carrousel.estimators.report.build import Setting
        from carrousel.estimators.report.evaluate import evaluate
        from carrousel.estimators.report.measures import measures

        target = tuple(listed(config.target))
        columns = columns_for(model, stored, id=config.id, time=config.time, target=target)
        task = task_of(model)
        if task != "forecast" and not columns.target:
            raise SettingError("the column of the truth is not named", fix="give --target COLUMN")
        table = read_data(config.data, columns, forecast=task == "forecast")
        found = evaluate(model, table.series, table.y, columns.target)
        figures = measures(found)
    if config.as_json:
        head = {"task": task, "series": len(found.series), "steps": table.series.n_steps}
        put_json({**head, "measures": figures})
    else:
        say(f"{type(model).__name__} on {contents(table.series)}:")
        put_measures(figures)
    setting = Setting(
        f"{config.model.name} on {config.data.name}",
        f"{type(model).__name__}, evaluated on {contents(table.series)}.",
        kilobytes=config.model.stat().st_size / 1000,
        footer=footer(),
    )
    write_report(config.report, found, found.series, model, setting)
