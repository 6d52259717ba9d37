"""Inside the image: how a check program says what it measured, one JSON line each."""

import json
import math
import os
import sys
from pathlib import Path

_MOST = 20  # lines about what is wrong


class Report:
    """Collects metrics and faults. A program that does not reach `done` has failed, whatever it printed."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.faults = 0

    def _line(self, kind, /, **fields):
        self.stream.write(json.dumps({"sovstack": kind, **fields}) + "\n")
        self.stream.flush()

    def metric(self, name, value, detail=""):
        """One number; `detail` says what was expected and what came out, on which input."""
        self._line("metric", name=name, value=float(value), detail=detail[:1000])

    def number(self, name, **fields):
        """A result for the numerical identity card; `identity.py` makes them of arrays."""
        self._line("number", name=name, **fields)

    def switch(self, name, value):
        """Something set that changes how numbers are computed, such as an environment variable."""
        self._line("switch", name=name, value=str(value))

    def fault(self, text):
        """Something wrong that no number tells."""
        self.faults += 1
        if self.faults <= _MOST:
            self._line("fault", text=text[:1000])

    def done(self):
        """The program came to its end."""
        self._line("done")


class Worst:
    """The largest of several ratios, and where it was; not-a-number is larger than all."""

    def __init__(self):
        self.value, self.detail = 0.0, ""

    def add(self, value, detail):
        """Take a ratio into account."""
        value = float(value)
        if not math.isnan(self.value) and (math.isnan(value) or value >= self.value):
            self.value, self.detail = value, detail


def manifest():
    """What the caller says is in the image."""
    return json.loads(Path(os.environ["SOVSTACK_MANIFEST"]).read_text(encoding="utf-8"))
