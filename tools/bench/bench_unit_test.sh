#!/usr/bin/env bash
# Runs bench_unit_test.py with the system's Python.
set -euo pipefail
exec /usr/bin/python3 -B "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/bench_unit_test.py"
