#!/bin/bash
# Generates, builds and runs the Go programs against a server of their own: what one writes, the
# other prints. Skipped, with the reason, where there is no Go or where its modules cannot be had.
set -euo pipefail
millrace=$PWD/$1

skip() {
  echo "SKIPPED: $1"
  # Bazel's report of a test that made its own: counted as skipped, not as passed.
  if [[ -n "${XML_OUTPUT_FILE:-}" ]]; then
    printf '<testsuites><testsuite name="examples/go" tests="1" failures="0"><testcase name="examples" %s>%s%s' \
      'classname="go" status="notrun"' "<skipped message=\"$1\"/>" '</testcase></testsuite></testsuites>' \
      > "$XML_OUTPUT_FILE"
  fi
  exit 0
}

# Where Go's own installer puts it, beside the usual places.
export PATH=$PATH:/usr/local/go/bin
command -v go > /dev/null || skip "there is no go command on this machine"
# Tests have a home of their own; the caches of modules and of builds are the user's.
home=$(getent passwd "$(id -u)" | cut -d: -f6)
[[ -w "$home" ]] && export HOME=$home
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false

source examples/test_server.sh
build=$(mktemp -d)
cp -RL examples/go/. "$build"
chmod -R u+w "$build"
(cd "$build" && timeout 300 go mod download) > "$build/download.log" 2>&1 || {
  cat "$build/download.log"
  rm -rf "$build"
  skip "the Go modules cannot be downloaded here (see above)"
}
"$build/generate.sh" "$PWD/proto"
mkdir "$build/bin"
(cd "$build" && go vet ./produce ./consume && go build -o bin/ ./produce ./consume)

start_server "$millrace"
mv "$build/bin" "$work/bin"
rm -rf "$build"
produce=$work/bin/produce consume=$work/bin/consume

"$millrace" topic create greetings --partitions 2 --bootstrap "$address"
printf 'hello=world\njust a value\n' | timeout 60 "$produce" "$address" greetings 1 |
  grep -x '2 records from offset 0'
# Several requests, and a consumer that is there before the records are.
timeout 60 "$consume" "$address" greetings 1 0 1202 > "$work/seen" &
consumer=$!
seq 1200 | timeout 60 "$produce" "$address" greetings 1 | grep -x '200 records from offset 1002'
wait "$consumer"
{ printf '0 hello: world\n1 (null): just a value\n'; seq 1200 | awk '{ print NR + 1 " (null): " $0 }'; } |
  diff - "$work/seen"

# Errors name what is wrong.
! timeout 60 "$consume" "$address" nothing 0 0 1 2> "$work/error" || exit 1
grep -q UNKNOWN_TOPIC_OR_PARTITION "$work/error"
# What the Go programs wrote, the command line reads.
"$millrace" consume greetings --partition 1 --count 1 --bootstrap "$address" | grep -qx world
echo "go examples: ok"
