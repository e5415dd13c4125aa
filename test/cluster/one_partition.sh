# What tests of a topic t with one partition share, on top of cluster_of_processes.sh; they source it.

# Prints what an expression over the partition, p, says.
topic() { # EXPRESSION
  ask topic describe t -o json |
    /usr/bin/python3 -c "import json, sys; d = json.load(sys.stdin); p = d['topics'][0]['partitions'][0]; print($1)"
}
now_ms() { date +%s%3N; }
# Waits until a command succeeds.
await() { # WHAT SECONDS COMMAND...
  local what="$1" deadline=$(($(now_ms) + $2 * 1000))
  shift 2
  until "$@"; do
    (($(now_ms) < deadline)) || fail "$what: $(ask topic describe t -o json)"
    sleep 0.1
  done
}
holds() { [[ "$(topic "$1")" == True ]]; }
has_lines() { [[ "$(wc -l <"$1")" == "$2" ]]; }
