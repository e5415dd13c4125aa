#!/usr/bin/env bash
# Runs a Python program beside this script, from the real source tree: Bazel's runfiles are links into it.
# Usage: run_python.sh PROGRAM [ARGUMENT]...
set -euo pipefail
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
program="$1"
shift
exec /usr/bin/python3 -B "$here/$program" "$@"
