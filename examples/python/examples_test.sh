#!/bin/bash
# Runs the Python programs against a server of their own: what one writes, the other prints, with
# keys, nulls and errors as they should be.
set -euo pipefail
millrace=$1
here=$PWD/examples/python
source examples/test_server.sh
start_server "$millrace"

"$here/generate_stubs.sh" "$work/stubs" "$PWD/proto"
export PYTHONPATH=$work/stubs PYTHONDONTWRITEBYTECODE=1
python() { timeout 60 /usr/bin/python3 "$@"; }

"$millrace" topic create greetings --partitions 2 --bootstrap "$address"
printf 'hello=world\njust a value\n' | python "$here/produce.py" "$address" greetings 1 |
  grep -x '2 records from offset 0'
# Several requests, and a consumer that is there before the records are.
python "$here/consume.py" "$address" greetings 1 0 1202 > "$work/seen" &
consumer=$!
seq 1200 | python "$here/produce.py" "$address" greetings 1 | grep -x '200 records from offset 1002'
wait "$consumer"
{ printf '0 hello: world\n1 (null): just a value\n'; seq 1200 | awk '{ print NR + 1 " (null): " $0 }'; } |
  diff - "$work/seen"

# Errors name what is wrong.
! python "$here/consume.py" "$address" nothing 0 0 1 2> "$work/error" || exit 1
grep -q UNKNOWN_TOPIC_OR_PARTITION "$work/error"
# What the Python programs wrote, the command line reads.
"$millrace" consume greetings --partition 1 --count 1 --bootstrap "$address" | grep -qx world
echo "python examples: ok"
