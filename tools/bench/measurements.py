"""Measured values by name, one list per name, one value per round; what was not measured, and why."""

import json
import statistics


class Measurements:
    """Values of one run. A name is a dotted path, subject first: `kafka.produce.100.records_per_s`."""

    def __init__(self):
        self._values = {}
        self._missing = {}
        self.commands = {}

    def add(self, name, value):
        self._values.setdefault(name, []).append(float(value))

    def add_all(self, prefix, figures):
        """Adds each number of a (nested) dict below a prefix; anything else in it is left out."""
        for key, value in figures.items():
            if isinstance(value, dict):
                self.add_all(f"{prefix}.{key}", value)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                self.add(f"{prefix}.{key}", value)

    def not_measured(self, prefix, reason):
        """All names that begin with a prefix could not be measured. A value measured earlier stays."""
        self._missing[prefix] = reason

    def note_command(self, name, command):
        """How a group of figures was made, in a form that a reader can type."""
        self.commands.setdefault(name, command)

    def values(self, name):
        return list(self._values.get(name, []))

    def names(self):
        return sorted(self._values)

    def has(self, *names):
        return all(name in self._values for name in names)

    def most(self, name):
        return max(self._values[name])

    def least(self, name):
        return min(self._values[name])

    def median(self, name):
        return statistics.median(self._values[name])

    def why_missing(self, name):
        """The reason noted for the longest prefix of a name."""
        fitting = [prefix for prefix in self._missing if name == prefix or name.startswith(prefix + ".")]
        return self._missing[max(fitting, key=len)] if fitting else "this run left it out"

    def to_json(self):
        return json.dumps({"values": self._values, "missing": self._missing, "commands": self.commands},
                          indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        loaded = json.loads(text)
        result = cls()
        result._values = {name: [float(v) for v in values] for name, values in loaded["values"].items()}
        result._missing = dict(loaded["missing"])
        result.commands = dict(loaded["commands"])
        return result
