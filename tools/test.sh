#!/usr/bin/env bash
# Installs what is missing, builds everything, runs all tests in CI's two builds, and counts the cases.
# The last line is "N passed, M failed"; the exit status is 0 only if M is 0.
# Usage: tools/test.sh [--release-only]
#   --release-only   leave out the second build (address and undefined behaviour sanitizers)
set -uo pipefail

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." || exit 1
source tools/build_environment.sh

builds=(release asan_ubsan)
for argument in "$@"; do
  case "$argument" in
    --release-only) builds=(release) ;;
    *)
      printf 'test: unknown argument %s\nusage: tools/test.sh [--release-only]\n' "$argument" >&2
      exit 2
      ;;
  esac
done

if ! tools/install.sh; then
  printf 'test: the packages could not be installed\n0 passed, 1 failed\n'
  exit 1
fi

events="$(mktemp -d -t millrace-test.XXXXXX)"
trap 'rm -rf "$events"' EXIT

# The two builds lie side by side in one output base (one is optimised, one is not), so each stays cached.
files=()
for build in "${builds[@]}"; do
  printf '\n==== %s ====\n' "$build" >&2
  files+=("$events/$build")
  bazel test "--config=$build" "${build_flags[@]}" --keep_going \
    "--build_event_json_file=$events/$build" //... </dev/null >&2
done

/usr/bin/python3 -B tools/ci/count_tests.py "${files[@]}"
