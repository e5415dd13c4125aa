#!/bin/bash
# Runs the examples against a server of their own: what one writes, the other prints.
set -euo pipefail
millrace=$1
programs=${2:-$PWD/examples/cpp}
source examples/test_server.sh
start_server "$millrace"
run() { timeout 60 "$programs/$@"; }
topic() { "$millrace" topic create "$@" --bootstrap "$address"; }

topic greetings
run produce "$address" greetings hello world | grep -x 'partition 0 offset 0'
run consume "$address" greetings 1 | grep -x '0@0 hello: world'
! run produce "$address" nothing hello world 2> "$work/error" || exit 1
grep -q "millrace topic create nothing" "$work/error"

topic lines --partitions 3
seq 20000 | run send_many "$address" lines | grep -x '20000 records'
# All are there, once; and the next time there is nothing but what came meanwhile.
run resume "$address" lines "$work/positions" | sort -n | diff - <(seq 20000)
run resume "$address" lines "$work/positions" | diff - /dev/null
seq 3 | run send_many "$address" lines > /dev/null
run resume "$address" lines "$work/positions" | sort | diff - <(seq 3)

topic orders --partitions 5
run by_region "$address" orders north/ann south/bob north/eve south/joe > "$work/regions"
[[ $(wc -l < "$work/regions") == 4 ]]
for region in north south; do
  [[ $(grep "^$region/" "$work/regions" | sed 's/.*-> //' | sort -u | wc -l) == 1 ]]
done

topic times
run produce "$address" times key a > /dev/null
after=$(date +%s%3N)
# The next millisecond has begun.
while (($(date +%s%3N) <= after)); do :; done
for value in b c; do run produce "$address" times key "$value" > /dev/null; done
run since "$address" times $((after + 1)) | diff - <(printf 'times-0: 2 records\nfirst: b\n')
run since "$address" times 9999999999999 | diff - /dev/null
run trim "$address" times $((after + 1)) | grep -x 'times-0 begins at 1'
run consume "$address" times 1 | grep -x '0@1 key: b'
run trim "$address" times 9999999999999 | grep -x 'times-0 begins at 3'

run administer "$address" audit 3600000 | grep -E '^audit: 3 partitions,.* retention.ms=3600000'
! run administer "$address" audit2 nonsense 2> "$work/error" || exit 1
grep -q "retention.ms" "$work/error"
echo "C++ examples: ok"
