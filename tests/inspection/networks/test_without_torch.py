"""Nets of 1997, rows and streams are inspected without torch."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def test_reports_need_no_torch():
    code = """
        import sys
        sys.modules["torch"] = None
        import numpy as np
        from carrousel import OnlineLSTM
        from carrousel.experiments.inspection import inspect_row
        from carrousel.inspection import Report
        from carrousel.online.inspection import inspect_stream

        X = np.random.default_rng(0).normal(size=(300, 2))
        model = OnlineLSTM(cells=4, random_state=1).partial_fit(X[:100], X[:100, 0])
        for report in (
            inspect_row("6a", sequences=20, test_sequences=4),
            inspect_stream(model, X[100:], X[100:, 0]),
        ):
            assert "loss" in str(report)
            assert Report.from_dict(report.to_dict()).loss - report.loss < 1e-6
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
