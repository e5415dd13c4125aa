#!/bin/bash
# Runs page_test.py with Debian's Python.
exec /usr/bin/python3 -B "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/page_test.py" "$@"
