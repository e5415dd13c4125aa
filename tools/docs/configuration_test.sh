#!/usr/bin/env bash
# docs/configuration.md is what the declarations say.
set -euo pipefail
generated=$TEST_TMPDIR/configuration.md
"$1" > "$generated"
if ! diff -u "$2" "$generated"; then
  echo "docs/configuration.md is out of date: bazel run --config=release //tools/docs:configuration > docs/configuration.md" >&2
  exit 1
fi
