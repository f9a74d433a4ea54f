"""Learning on streams without end: the model, rows that come in, predictions that go out."""
