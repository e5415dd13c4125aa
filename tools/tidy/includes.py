"""Every #include against the tables of layers.py: who may use whom, and which library may be used where."""

import ast
import fnmatch
import re

import cpp_text
import layers
from finding import Finding

_USE_RULE = "who-may-use-whom"
_LIBRARY_RULE = "library-place"


def target_files(build_text, target):
    """The srcs and hdrs that a BUILD file lists for a target, as a set of names. BUILD files parse as Python."""
    names = set()
    for node in ast.walk(ast.parse(build_text)):
        if not isinstance(node, ast.Call):
            continue
        arguments = {keyword.arg: keyword.value for keyword in node.keywords}
        name = arguments.get("name")
        if not (isinstance(name, ast.Constant) and name.value == target):
            continue
        for argument in ("srcs", "hdrs"):
            for part in ast.walk(arguments[argument]) if argument in arguments else ():
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    names.add(part.value)
    return names


class Layers:
    """Says which layer of the house a file belongs to."""

    def __init__(self, tree):
        self._of_file = {}
        for layer, (build_file, target) in layers.LAYER_OF_TARGET.items():
            if not tree.has(build_file):
                continue
            folder = build_file.rsplit("/", 1)[0]
            for name in target_files(tree.text(build_file), target):
                self._of_file[f"{folder}/{name.lstrip(':')}"] = layer
                if name.endswith(".cc"):  # The test beside a source belongs to the source's layer.
                    self._of_file[f"{folder}/{name.lstrip(':')[:-3]}_test.cc"] = layer

    def of(self, path):
        """The layer's name, or None for a folder that the table does not know."""
        if path in self._of_file:
            return self._of_file[path]
        for layer, patterns in layers.LAYER_OF_FILES.items():
            if layers.matches(path, patterns):
                return layer
        parts = path.split("/")[:-1]
        for length in range(len(parts), 0, -1):
            folder = "/".join(parts[:length])
            if folder in layers.MAY_USE:
                return folder
        return None


def proto_class(include):
    """The class of a generated header (proto:records, proto:grpc, ...), or None for another header."""
    if not include.startswith("millrace/"):
        return None
    for pattern, name in layers.PROTO_CLASSES:
        if fnmatch.fnmatchcase(include, pattern):
            return name
    return None


def _may_use(user, used):
    allowed = layers.MAY_USE[user]
    if used == user or used in allowed:
        return True
    if used in layers.ONLY_USED_BY:
        return user in layers.ONLY_USED_BY[used]
    if allowed == layers.ALL:
        return True
    # "proto" stands for every message; stubs are named by themselves.
    return used.startswith("proto:") and used != "proto:grpc" and "proto" in allowed


def _check_use(path, line, include, user, used, test_only):
    if used == "base/sim":
        if not test_only:
            yield Finding(path, line, _USE_RULE,
                          f'"{include}" is test support: shipped code must not include it; take the seam it '
                          "implements by constructor")
        return
    if not _may_use(user, used):
        allowed = ", ".join(layers.MAY_USE[user]) or "nothing"
        yield Finding(path, line, _USE_RULE,
                      f'{user} must not use {used} ("{include}"); it may use: {allowed}. Move the code, or '
                      "invert the dependency with an interface that its user owns")


def _check_library(path, line, include, quoted):
    for name, patterns, places in layers.LIBRARIES:
        if not layers.matches(include, patterns):
            continue
        if not layers.matches(path, places):
            where = ", ".join(places) or "nowhere"
            yield Finding(path, line, _LIBRARY_RULE,
                          f"{name} (<{include}>) may be included only in: {where}. Put it behind a seam there")
        return
    standard = "/" not in include and "." not in include
    if quoted:
        yield Finding(path, line, _USE_RULE,
                      f'"{include}" is no file of this tree and no known library: write the path from the root')
    elif not standard:
        yield Finding(path, line, _LIBRARY_RULE,
                      f"<{include}> is in no row of LIBRARIES in tools/tidy/layers.py: add it there, with the "
                      "folders that may include it")


def check(tree):
    house = Layers(tree)
    for path in tree.with_suffix(".cc", ".h"):
        user = house.of(path)
        if user is None:
            yield Finding(path, 1, _USE_RULE,
                          "the table does not know this folder: add it to MAY_USE in tools/tidy/layers.py and to "
                          "docs/architecture.md, with what it may use")
            continue
        test_only = layers.matches(path, layers.TEST_ONLY_FILES)
        for line, include, quoted in cpp_text.includes(tree.text(path)):
            used = proto_class(include)
            if used is None and quoted and tree.has(include):
                used = house.of(include)
                if layers.matches(include, layers.TEST_ONLY_FILES) and used != "base/sim" and not test_only:
                    yield Finding(path, line, _USE_RULE,
                                  f'"{include}" is test support: shipped code must not include it')
            if used is not None:
                yield from _check_use(path, line, include, user, used, test_only)
            else:
                yield from _check_library(path, line, include, quoted)


def documented_table(text):
    """{layer: set of what it may use} from the rows `| \`layer\` | a, b |` of docs/architecture.md."""
    table = {}
    for match in re.finditer(r"^\| `([\w/:]+)` \| (.*) \|$", text, re.MULTILINE):
        table[match.group(1)] = {part.strip() for part in match.group(2).split(",") if part.strip() not in ("-", "")}
    return table


def check_documentation(tree):
    """The table that people read in docs/architecture.md is the one that is checked."""
    path = "docs/architecture.md"
    if not tree.has(path):
        return
    table = documented_table(tree.text(path))
    for layer, allowed in layers.MAY_USE.items():
        words = {"everything"} if allowed == layers.ALL else set(allowed)
        if table.get(layer) != words:
            yield Finding(path, 1, _USE_RULE,
                          f"the row of {layer} differs from tools/tidy/layers.py, which says: "
                          f"| `{layer}` | {', '.join(sorted(words)) or '-'} |")
