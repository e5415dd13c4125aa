#!/usr/bin/env bash
# The cluster's benchmark in its smallest form, so that it cannot rot: every step must be measured, and the page must come.
set -euo pipefail

here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
programs="$PWD"
page="${TEST_TMPDIR:-$(mktemp -d)}/benchmarks_cluster.md"

/usr/bin/python3 -B "$here/cluster_main.py" --programs "$programs" --quick \
  --scratch "${TEST_TMPDIR:-/tmp}" --cache "${TEST_TMPDIR:-/tmp}/cache" --out "$page"

grep -q '^| kill -9 of a leader under load' "$page"
grep -q 'kafka.*was not measured: this run was made without peers' "$page"
