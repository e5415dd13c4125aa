#!/usr/bin/env bash
# The whole benchmark in its smallest form, so that it cannot rot: every step must be measured, and the page must come.
set -euo pipefail

here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
programs="$PWD"
page="${TEST_TMPDIR:-$(mktemp -d)}/benchmarks.md"

/usr/bin/python3 -B "$here/report_main.py" --programs "$programs" --quick --scale 0.005 \
  --scratch "${TEST_TMPDIR:-/tmp}" --cache "${TEST_TMPDIR:-/tmp}/cache" --out "$page"

grep -q '^| Produce 1 KiB' "$page"
grep -q 'kafka.*was not measured: this run was made without peers' "$page"
