"""C++ source with comments and literals blanked out, line by line, so that a rule sees only code."""

import re

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<raw>R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)")
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<char>(?<![0-9a-zA-Z_])'(?:[^'\\\n]|\\.)+')
    """,
    re.VERBOSE | re.DOTALL,
)
_INCLUDE = re.compile(r'^\s*#\s*include\s*(?P<form>["<])(?P<path>[^">]+)[">]')


def _blank(match):
    text = match.group(0)
    if match.lastgroup == "comment" or match.group("comment"):
        return "\n" * text.count("\n") or " "
    return '""' + "\n" * text.count("\n")


def code_lines(text):
    """Lines of code; line N of the source is element N - 1. Include lines lose their path."""
    return _TOKEN.sub(_blank, text).split("\n")


def includes(text):
    """Yields (line number, path, whether it was quoted) of each #include."""
    in_comment = False
    for number, line in enumerate(text.split("\n"), start=1):
        if not in_comment:
            match = _INCLUDE.match(line)
            if match:
                yield number, match.group("path"), match.group("form") == '"'
        opened, closed = line.rfind("/*"), line.rfind("*/")
        if opened > closed and "//" not in line[:opened]:
            in_comment = True
        elif closed > opened:
            in_comment = False
