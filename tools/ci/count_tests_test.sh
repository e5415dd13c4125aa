#!/usr/bin/env bash
# Runs count_tests_test.py with the system's Python.
set -euo pipefail
exec /usr/bin/python3 -B "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/count_tests_test.py"
