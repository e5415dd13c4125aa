"""Counts the test cases of Bazel runs from their build event files (--build_event_json_file).

A test that writes XML counts case by case, one that does not counts as one. What a run set out to test and did
not (it was not built, it crashed, it ran out of time) counts as failed, so that no failure can hide as a gap. A test
that passed at a second attempt only (.bazelrc says which may have one) counts as passed, and is named: it is a bug.
Usage: count_tests.py FILE...   The last line printed is "N passed, M failed".
"""

import json
import sys
import urllib.parse
from xml.etree import ElementTree

# Bazel's exit codes that say nothing beyond the tests' own results: all passed, some failed, none to run.
_TESTS_SPOKE = {0, 3, 4}


class Counts:
    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failures = []  # A line for each failed case.
        self.flaky = []  # Labels that failed before they passed.

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures
        self.flaky += other.flaky


def _cases(path):
    """Yields (name, "passed" | "failed" | "skipped") of each case in a test.xml; nothing if it cannot be read."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return
    for case in root.iter("testcase"):
        name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed") or (
                case.find("skipped") is not None):
            yield name, "skipped"
        else:
            yield name, "passed"


def _xml_path(result):
    for output in result.get("testActionOutput", []):
        if output.get("name") == "test.xml":
            return urllib.parse.unquote(urllib.parse.urlparse(output.get("uri", "")).path)
    return ""


def count_target(label, results):
    """Counts one target from its test results, one for each shard and run."""
    counts = Counts()
    any_case = False
    for result in results:
        failed_before = len(counts.failures)
        for name, outcome in _cases(_xml_path(result)):
            any_case = True
            if outcome == "passed":
                counts.passed += 1
            elif outcome == "skipped":
                counts.skipped += 1
            else:
                counts.failures.append(f"{label}: {name}")
        status = result.get("status", "NO_STATUS")
        if status not in ("PASSED", "FLAKY") and len(counts.failures) == failed_before:
            counts.failures.append(f"{label}: {status.lower()} outside of its cases")
            any_case = True
    if not any_case:
        counts.passed += 1
    return counts


def count_run(path):
    """Counts a whole run."""
    wanted, results, attempts, exit_code = set(), {}, {}, None
    try:
        with open(path, encoding="utf-8") as file:
            events = [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError) as error:
        counts = Counts()
        counts.failures.append(f"the build did not say how it went: {error}")
        return counts
    for event in events:
        identity = event.get("id", {})
        if "testSize" in event.get("configured", {}):
            wanted.add(identity["targetConfigured"]["label"])
        elif "testResult" in event:
            test = identity["testResult"]
            key = (test.get("run", 0), test.get("shard", 0))
            # A later attempt of the same run replaces the earlier one.
            results.setdefault(test["label"], {})[key] = event["testResult"]
            attempts[test["label"]] = max(attempts.get(test["label"], 1), test.get("attempt", 1))
        elif "finished" in event:
            exit_code = event["finished"].get("exitCode", {}).get("code", 0)
    counts = Counts()
    missing = wanted - set(results)
    for label in sorted(wanted | set(results)):
        if label not in missing:
            target = count_target(label, results[label].values())
            if attempts[label] > 1 and not target.failures:
                target.flaky.append(label)
            counts.add(target)
        else:
            counts.failures.append(f"{label}: did not build or did not run")
    if exit_code not in _TESTS_SPOKE and not missing:
        counts.failures.append(f"the build failed, Bazel's exit code is {exit_code}")
    return counts


def main(paths):
    total = Counts()
    for path in paths:
        total.add(count_run(path))
    for failure in total.failures:
        print(f"FAILED {failure}")
    for label in total.flaky:
        print(f"FLAKY {label}: passed at a second attempt only, which is a bug of it or of what it tests")
    if total.skipped:
        print(f"{total.skipped} skipped")
    print(f"{total.passed} passed, {len(total.failures)} failed")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
