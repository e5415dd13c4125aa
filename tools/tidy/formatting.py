"""All C++ files through clang-format, in one run. A missing clang-format is a finding, not a pass."""

import re
import shutil
import subprocess

from finding import Finding

CLANG_FORMAT = "clang-format-14"
_RULE = "format"
_MESSAGE = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?:error|warning): ", re.MULTILINE)


def check(tree, program=CLANG_FORMAT):
    files = tree.with_suffix(".cc", ".h")
    if not files:
        return
    if shutil.which(program) is None:
        yield Finding("tools/install.sh", 1, _RULE,
                      f"{program} is not installed, so formatting was not checked: run tools/install.sh")
        return
    run = subprocess.run([program, "--dry-run", "-Werror", "--style=file"] + files, cwd=tree.root,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seen = set()
    for match in _MESSAGE.finditer(run.stderr):
        if match.group("path") not in seen:  # The first line of each file is enough.
            seen.add(match.group("path"))
            yield Finding(match.group("path"), int(match.group("line")), _RULE,
                          f"not formatted: run {program} -i {match.group('path')}")
    if run.returncode and not seen:
        yield Finding(".clang-format", 1, _RULE, f"{program} failed: {run.stderr.strip()[:500]}")
