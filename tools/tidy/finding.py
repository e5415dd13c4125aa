"""One broken rule: where, which, and what to do about it."""

import typing


class Finding(typing.NamedTuple):
    path: str
    line: int  # 1 for what concerns a whole file.
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.message}"
