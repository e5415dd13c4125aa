"""What a file or folder looks like from outside: size, its test, its README, its opening comment, its leftovers."""

import re

import layers
from finding import Finding

_LINES_MAX = 600
_TEST_LINES_MAX = 1000
_README_LINES_MAX = 20
_OPENING_LINES_MIN = 3

# Spelled in pieces, so that this file does not find itself.
_LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?!\(#\d+\))")
_MACHINE = re.compile(
    r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|ho" r"me)/[\w.]"
    r"|\b(?:deb|snapshot|security)\.debian\.o" r"rg\b"
    r"|\bproxy\.gol" r"ang\.org\b|\b(?:pypi\.o" r"rg|files\.pythonhosted\.o" r"rg)\b"
    r"|\bregistry\.npm" r"js\.org\b|\b(?:repo1?|central)\.(?:maven|sona" r"type)\.(?:apache\.)?org\b"
)
_NO_TEST_NEEDED = ["test/*", "*_test.cc", "*_main.cc", "main.cc", "*/main.cc", "*_benchmark.cc", "*_fuzz.cc",
                   "examples/*", "*/testing/*", "*/fake_*"]  # fmt: skip
# Folders without a README of their own: docs/ is itself the reading.
_NO_README_NEEDED = {"docs"}


def check_sizes(tree):
    for path in tree.with_suffix(".cc", ".h", ".py", ".sh"):
        is_test = path.startswith("test/") or path.endswith(("_test.cc", "_test.py"))
        limit = _TEST_LINES_MAX if is_test else _LINES_MAX
        lines = len(tree.lines(path))
        if lines > limit:
            yield Finding(path, limit, "file-size",
                          f"{lines} lines, at most {limit}: find the second concept in it and give it a file")


def check_tests_beside_sources(tree):
    for path in tree.with_suffix(".cc"):
        if layers.matches(path, _NO_TEST_NEEDED):
            continue
        test = path[: -len(".cc")] + "_test.cc"
        if not tree.has(test):
            yield Finding(path, 1, "test-beside-source", f"has no test: write {test}")


def check_leftovers(tree):
    for path in tree.paths:
        if not tree.is_text(path):
            continue
        for number, line in enumerate(tree.lines(path), start=1):
            match = _LEFTOVER.search(line)
            if match:
                yield Finding(path, number, "leftover",
                              f"{match.group(1)} without an issue: do it, drop it, or write {match.group(1)}(#number)")
            match = _MACHINE.search(line)
            if match:
                yield Finding(path, number, "machine-path",
                              f"`{match.group(0)}` names one machine or a registry's host: nothing committed may")


def check_readmes(tree):
    folders = {path.split("/", 1)[0] for path in tree.paths if "/" in path}
    for folder in sorted(folders):
        if not folder.startswith(".") and folder not in _NO_README_NEEDED and not tree.has(f"{folder}/README.md"):
            yield Finding(f"{folder}/README.md", 1, "readme",
                          f"missing: say what {folder} is for, its main types and what it may use, in at most "
                          f"{_README_LINES_MAX} lines")
    for path in tree.with_suffix("/README.md"):
        lines = len(tree.lines(path))
        if lines > _README_LINES_MAX and not path.startswith("docs/"):
            yield Finding(path, _README_LINES_MAX, "readme",
                          f"{lines} lines, at most {_README_LINES_MAX}: move the rest to docs/")


def check_opening_comments(tree):
    for path in tree.with_suffix(".h"):
        lines = 0
        for line in tree.lines(path):
            if not line.startswith("//"):
                break
            lines += 1
        if lines < _OPENING_LINES_MIN:
            yield Finding(path, 1, "opening-comment",
                          "a header opens with 3 to 10 lines of comment: what this is, what it is not, who owns it, "
                          "and a 'Thread:' line")


def check_installs(tree):
    """Every Debian package that the build names in WORKSPACE is one that tools/install.sh installs."""
    script = "tools/install.sh"
    if not tree.has("WORKSPACE") or not tree.has(script):
        return
    installed = set(re.findall(r"[\w.+-]+", tree.text(script)))
    for number, line in enumerate(tree.lines("WORKSPACE"), start=1):
        match = re.match(r'        "([\w.+-]+)": \[', line)
        if match and match.group(1) not in installed:
            yield Finding("WORKSPACE", number, "install",
                          f"{match.group(1)} is not installed by {script}: add it to the list there")
