"""Runs the checks over the source tree and prints each finding as file:line: [rule] what to do.

Usage: python3 tools/tidy/tidy_main.py [--root DIR] [--check NAME]... [--list]
"""

import argparse
import os
import sys

import banned_calls
import formatting
import includes
import junit
import layers
import proto_lint
import shape
from finding import Finding
from source_tree import SourceTree

CHECKS = {
    "includes": includes.check,
    "documented_table": includes.check_documentation,
    "banned_calls": banned_calls.check,
    "file_sizes": shape.check_sizes,
    "tests_beside_sources": shape.check_tests_beside_sources,
    "formatting": formatting.check,
    "proto_lint": proto_lint.check,
    "leftovers": shape.check_leftovers,
    "readmes": shape.check_readmes,
    "opening_comments": shape.check_opening_comments,
    "installs": shape.check_installs,
}


def run_checks(tree, names, exceptions):
    """Returns {check: findings}. Exceptions are applied; with all checks, idle ones are findings too."""
    used = set()
    results = {}
    for name in names:
        results[name] = []
        for finding in CHECKS[name](tree):
            excuse = next((row for row in exceptions
                           if row[1] == finding.rule and layers.matches(finding.path, [row[0]])), None)
            if excuse is None:
                results[name].append(finding)
            else:
                used.add(excuse)
    if set(names) == set(CHECKS):
        results["exceptions"] = [
            Finding("tools/tidy/layers.py", 1, "exceptions",
                    f"the exception ({row[0]}, {row[1]}) excuses nothing any more: delete its row")
            for row in exceptions if row not in used
        ]
    return results


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the house that a program can check.")
    here = os.path.dirname(os.path.realpath(__file__))
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)), help="root of the source tree")
    parser.add_argument("--check", action="append", choices=sorted(CHECKS), help="run only this check")
    parser.add_argument("--list", action="store_true", help="print the names of the checks")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CHECKS))
        return 0
    if not os.path.isfile(os.path.join(options.root, "WORKSPACE")):
        print(f"tidy: {options.root} has no WORKSPACE: it is not the root of the source tree", file=sys.stderr)
        return 2
    results = run_checks(SourceTree(options.root), options.check or list(CHECKS), layers.EXCEPTIONS)
    findings = sorted({finding for found in results.values() for finding in found})
    for finding in findings:
        print(finding)
    junit.write("tidy", [(name, "\n".join(map(str, found)) or None) for name, found in results.items()])
    if findings:
        print(f"tidy: {len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
