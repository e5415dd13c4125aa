"""The rules for .proto files: those of buf's STANDARD set that matter here, and our own for records.

Enough of a parser to know what each statement is and where it stands; protoc itself judges the syntax.
"""

import re

import layers
from finding import Finding

_RULE = "proto"
_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[\w.]+|\S', re.DOTALL)
_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*$")
_PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*$")
_FILE_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*\.proto$")


def upper_snake(name):
    """HTTPCode -> HTTP_CODE, ErrorCode -> ERROR_CODE: the prefix that buf expects of an enum's values."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).upper()


def statements(text):
    """Yields (enclosing blocks, line, tokens) of each statement; a block's head is a statement too.

    The blocks are (keyword, name) pairs from the outside in: a field of message M stands in [("message", "M")].
    """
    blocks, tokens, line_of_first = [], [], 0
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        token = match.group(0)
        if token.startswith(("//", "/*")):
            continue
        # The braces of an option's value, as in [(x) = {a: 1}], belong to its statement.
        in_value = tokens and (tokens[0] == "option" or tokens.count("[") > tokens.count("]"))
        if token in "{};" and not in_value:
            if tokens:
                yield list(blocks), line_of_first, tokens
            if token == "{":
                blocks.append((tokens[0], tokens[1] if len(tokens) > 1 else ""))
            elif token == "}" and blocks:
                blocks.pop()
            tokens = []
        elif token == ";" and tokens.count("{") == tokens.count("}"):
            yield list(blocks), line_of_first, tokens
            tokens = []
        else:
            if not tokens:
                line_of_first = line
            tokens.append(token)


def _check_enum_value(enum, tokens, is_first):
    name, prefix = tokens[0], upper_snake(enum) + "_"
    number = tokens[2] if len(tokens) > 2 and tokens[1] == "=" else ""
    if not name.startswith(prefix):
        yield f"enum value {name} must begin with {prefix}"
    if is_first and number != "0":
        yield f"the first value of enum {enum} must be number 0"
    if number == "0" and not name.endswith("_UNSPECIFIED"):
        yield f"the zero value of enum {enum} must be {prefix}UNSPECIFIED, not {name}"


def _check_rpc(tokens):
    name = tokens[1]
    if not _PASCAL.match(name):
        yield f"rpc {name} must be in PascalCase"
    types = [token.rsplit(".", 1)[-1] for token in tokens[2:]
             if re.match(r"[\w.]+$", token) and token not in ("stream", "returns")]
    for what, found in zip(("Request", "Response"), types):
        if found != name + what:
            yield f"rpc {name} must have its own {name}{what}, not {found}: calls then can grow apart"


def _check_member(path, block, tokens):
    """A statement inside a message or oneof that is none of the keywords: a field."""
    if "map" in tokens[:2] and "<" in tokens and "/internal/" in path:
        yield ("a persistent or internal message must not have map fields: their order on the wire is not fixed; "
               "use a repeated message")
    if "=" in tokens:
        name = tokens[tokens.index("=") - 1]
        if not _SNAKE.match(name):
            yield f"field {block}.{name} must be in lower_snake_case"


_NOT_FIELDS = {"option", "reserved", "extensions", "message", "enum", "oneof", "extend"}


def _check_statement(path, blocks, tokens):
    keyword = tokens[0]
    inside, block = blocks[-1] if blocks else ("", "")
    if inside == "enum":
        return  # Enum values are checked in order, by the caller.
    if keyword in ("message", "enum", "service") and len(tokens) == 2:
        if not _PASCAL.match(tokens[1]):
            yield f"{keyword} {tokens[1]} must be in PascalCase"
        if keyword == "service" and not tokens[1].endswith("Service"):
            yield f"service {tokens[1]} must end in Service"
    elif keyword == "oneof" and len(tokens) == 2:
        if not _SNAKE.match(tokens[1]):
            yield f"oneof {tokens[1]} must be in lower_snake_case"
    elif keyword == "rpc" and inside == "service":
        yield from _check_rpc(tokens)
    elif inside in ("message", "oneof") and keyword not in _NOT_FIELDS:
        yield from _check_member(path, block, tokens)


def check_text(path, text):
    """Findings of one file; path is relative to the root, below proto/."""
    folder, _, name = path[len("proto/"):].rpartition("/")
    if not _FILE_NAME.match(name):
        yield Finding(path, 1, _RULE, "the file's name must be in lower_snake_case")
    package, syntax, counts = None, None, {}
    for blocks, line, tokens in statements(text):
        if tokens[0] == "package" and not blocks:
            package = tokens[1]
            if package != folder.replace("/", "."):
                yield Finding(path, line, _RULE,
                              f"package {package} must follow the folder: {folder.replace('/', '.')}")
        if tokens[0] == "syntax":
            syntax = tokens[-1].strip("\"'")
        if blocks and blocks[-1][0] == "enum" and tokens[0] not in ("option", "reserved"):
            key = tuple(blocks)
            counts[key] = counts.get(key, 0) + 1
            for message in _check_enum_value(blocks[-1][1], tokens, counts[key] == 1):
                yield Finding(path, line, _RULE, message)
        for message in _check_statement(path, blocks, tokens):
            yield Finding(path, line, _RULE, message)
    if package is None:
        yield Finding(path, 1, _RULE, f"has no package: write package {folder.replace('/', '.')};")
    if syntax != "proto3":
        yield Finding(path, 1, _RULE, 'must begin with syntax = "proto3";')


def check(tree):
    for path in tree.with_suffix(".proto"):
        if path.startswith("proto/"):
            yield from check_text(path, tree.text(path))
        elif not layers.matches(path, layers.FOREIGN_PROTOS):
            yield Finding(path, 1, _RULE, "proto files live below proto/, the module root")
