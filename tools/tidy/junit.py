"""Writes the XML by which Bazel and tools/test.sh know single cases of a test that is not C++."""

import os
from xml.etree import ElementTree


def write(suite, cases):
    """Writes (name, failure text or None) pairs to $XML_OUTPUT_FILE; does nothing outside of Bazel."""
    path = os.environ.get("XML_OUTPUT_FILE")
    if not path:
        return
    root = ElementTree.Element("testsuites")
    node = ElementTree.SubElement(root, "testsuite", name=suite, tests=str(len(cases)),
                                  failures=str(sum(1 for _, failure in cases if failure)))
    for name, failure in cases:
        case = ElementTree.SubElement(node, "testcase", classname=suite, name=name, status="run")
        if failure:
            ElementTree.SubElement(case, "failure", message=failure.splitlines()[0]).text = failure
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
