"""Holds the code blocks of a page to the programs in this folder.

A block of C++ follows a link to the program it is from; it must stand there word for word, but for its indentation.
A line with nothing but "..." stands for lines left out. Every program has a block.
Usage: page_test.py PAGE
"""

import os
import re
import sys
import textwrap

FOLDER = os.path.dirname(os.path.realpath(__file__))


def blocks_of(page):
    """Yields (line number, program or None, code) for each block of C++."""
    program, code, begin = None, None, 0
    for number, line in enumerate(page.split("\n"), 1):
        if code is not None:
            if line.startswith("```"):
                yield begin, program, "\n".join(code)
                code = None
            else:
                code.append(line)
        elif line.startswith("```cpp"):
            code, begin = [], number
        else:
            links = re.findall(r"\]\([^)]*examples/cpp/(\w+\.cc)\)", line)
            program = links[-1] if links else program


def stands_in(code, source):
    at = 0
    source_lines = [line.strip() for line in source.split("\n")]
    for part in re.split(r"^\s*\.\.\.\s*$", textwrap.dedent(code), flags=re.MULTILINE):
        wanted = [line.strip() for line in part.strip("\n").split("\n")]
        while at + len(wanted) <= len(source_lines) and source_lines[at:at + len(wanted)] != wanted:
            at += 1
        if at + len(wanted) > len(source_lines):
            return False
        at += len(wanted)
    return True


def main(page_path):
    with open(page_path, encoding="utf-8") as file:
        page = file.read()
    programs = {name for name in os.listdir(FOLDER) if name.endswith(".cc")}
    findings, shown = [], set()
    for line, program, code in blocks_of(page):
        if program not in programs:
            findings.append(f"{page_path}:{line}: no program is linked above this block")
            continue
        shown.add(program)
        with open(os.path.join(FOLDER, program), encoding="utf-8") as file:
            if not stands_in(code, file.read()):
                findings.append(f"{page_path}:{line}: this does not stand in examples/cpp/{program}")
    findings += [f"{page_path}: shows nothing of examples/cpp/{name}" for name in sorted(programs - shown)]
    print("\n".join(findings) or f"{len(shown)} programs are shown as they are")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
