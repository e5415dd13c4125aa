"""Counting is right above all where a run went wrong."""

import json
import os
import shutil
import tempfile
import unittest

import count_tests

_GTEST = """<testsuites><testsuite name="A"><testcase name="One" classname="A" status="run" result="completed"/>
<testcase name="Two" classname="A" status="run" result="completed"><failure message="no"/></testcase>
<testcase name="Three" classname="A" status="notrun" result="suppressed"/></testsuite></testsuites>"""
_ONE = '<testsuites><testsuite name="s"><testcase name="s" status="run"/></testsuite></testsuites>'


class CountTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="count-tests-")
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def result(self, label, status, xml=None, shard=1, attempt=1):
        outputs = []
        if xml is not None:
            path = self.write(f"{label.strip('/')}{shard}{attempt}.xml", xml)
            outputs = [{"name": "test.xml", "uri": "file://" + path}]
        return {"id": {"testResult": {"label": label, "run": 1, "shard": shard, "attempt": attempt}},
                "testResult": {"status": status, "testActionOutput": outputs}}

    def count(self, events, exit_code=0):
        if exit_code is not None:
            events = events + [{"id": {"buildFinished": {}}, "finished": {"exitCode": {"code": exit_code}}}]
        counts = count_tests.count_run(self.write("events", "\n".join(map(json.dumps, events))))
        return counts.passed, len(counts.failures), counts.skipped

    @staticmethod
    def wanted(label):
        return {"id": {"targetConfigured": {"label": label}}, "configured": {"testSize": "SMALL"}}

    def test_cases_are_counted_one_by_one(self):
        self.assertEqual((1, 1, 1), self.count([self.wanted("//a"), self.result("//a", "FAILED", _GTEST)], 3))

    def test_a_test_without_xml_counts_as_one(self):
        self.assertEqual((1, 0, 0), self.count([self.result("//a", "PASSED")]))
        self.assertEqual((0, 1, 0), self.count([self.result("//a", "FAILED")], 3))

    def test_shards_add_up(self):
        events = [self.result("//a", "PASSED", _ONE, shard=1), self.result("//a", "PASSED", _ONE, shard=2)]
        self.assertEqual((2, 0, 0), self.count(events))

    def test_the_last_attempt_counts(self):
        events = [self.result("//a", "FAILED", _GTEST), self.result("//a", "PASSED", _ONE, attempt=2)]
        self.assertEqual((1, 0, 0), self.count(events))

    def test_what_passed_at_a_second_attempt_only_is_named(self):
        events = [self.result("//a", "FAILED", _ONE), self.result("//a", "PASSED", _ONE, attempt=2),
                  self.result("//b", "PASSED", _ONE),
                  self.result("//c", "FAILED", _ONE), self.result("//c", "FAILED", _GTEST, attempt=2)]
        counts = count_tests.count_run(self.write("events", "\n".join(map(json.dumps, events))))
        self.assertEqual(["//a"], counts.flaky)

    def test_a_failure_outside_of_the_cases_is_one_failure(self):
        self.assertEqual((1, 1, 0), self.count([self.result("//a", "FAILED", _ONE)], 3))
        self.assertEqual((0, 1, 0), self.count([self.result("//a", "TIMEOUT", "<cut")], 3))

    def test_a_test_that_was_not_built_is_a_failure(self):
        self.assertEqual((1, 1, 0), self.count([self.wanted("//a"), self.result("//b", "PASSED", _ONE)], 1))

    def test_a_failed_build_is_a_failure_even_if_all_tests_passed(self):
        self.assertEqual((1, 1, 0), self.count([self.result("//a", "PASSED", _ONE)], 1))
        self.assertEqual((1, 1, 0), self.count([self.result("//a", "PASSED", _ONE)], None))
        self.assertEqual((1, 2, 1), self.count([self.result("//a", "FAILED", _GTEST)], 1))

    def test_a_run_that_left_no_events_is_a_failure(self):
        self.assertEqual(1, len(count_tests.count_run(os.path.join(self.folder, "none")).failures))


if __name__ == "__main__":
    unittest.main()
