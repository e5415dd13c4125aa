#!/usr/bin/env bash
# A quorum of controllers on this machine: N `millrace server` processes on loopback, to try out and to break.
set -euo pipefail

readonly root="$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")"
readonly host=127.0.0.1
readonly start_seconds_max=30
readonly stop_seconds_max=15

usage() {
  cat <<'HELP'
Usage: tools/local_cluster.sh COMMAND [OPTIONS]

Runs a quorum of controllers on this machine, one `millrace server` process each, on loopback.

Commands:
  start       start all controllers that do not run, wait until each answers, print the bootstrap list
  stop        stop all of them cleanly; their data stays
  status      show each process, and the quorum as it describes itself
  kill N      end controller N at once (SIGKILL), as a crash does
  pause N     stop controller N from running (SIGSTOP), as an overloaded machine does
  resume N    let it run again (SIGCONT)
  logs N      print the end of controller N's log (--follow: and what comes)

Options:
  --data-dir DIR      where configs, logs and data are (default: ./millrace-cluster)
  --controllers N     of start: how many, 1 to 9 (default: 3, or as many as there are in DIR)
  --base-port PORT    of start: clients connect to PORT, PORT+1...; controllers to each other from
                      PORT+100 on, metrics from PORT+200 on (default: 19092)
  --brokers N         of start: registers N brokers that have no process, so that topics can be placed:
                      metadata only (default: 3; with --millrace none, unless --phantoms is given)
  --millrace PROGRAM  of start: the program to run (default: the one given before, else it is built
                      from this tree)
  --phantoms PROGRAM  of start: what registers the brokers (default: built too)
  --help              this text

Examples:
  tools/local_cluster.sh start --controllers 3
  export MILLRACE_BOOTSTRAP="$(tools/local_cluster.sh start)"
  tools/local_cluster.sh kill 1 && tools/local_cluster.sh status
  tools/local_cluster.sh start                  (brings controller 1 back)
  tools/local_cluster.sh stop && rm -r millrace-cluster
HELP
}

say() { printf 'local_cluster: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
wrong_usage() {
  say "$*"
  printf 'See: tools/local_cluster.sh --help\n' >&2
  exit 2
}

now_ms() { date +%s%3N; }

# ---- The command line. ----

command=''
node=''
data_dir=millrace-cluster
controllers=''
base_port=''
program=''
phantoms=''
brokers=''
follow=false

whole_number() { # NAME TEXT MIN MAX
  [[ "$2" =~ ^[0-9]{1,5}$ ]] && ((10#$2 >= $3 && 10#$2 <= $4)) ||
    wrong_usage "$1: '$2' is not a whole number from $3 to $4"
}

parse() {
  while (($# > 0)); do
    case "$1" in
      --help | -h)
        usage
        exit 0
        ;;
      --data-dir | --controllers | --base-port | --brokers | --millrace | --phantoms)
        (($# > 1)) && [[ -n "$2" ]] || wrong_usage "$1 needs a value"
        case "$1" in
          --data-dir) data_dir="$2" ;;
          --controllers) controllers="$2" ;;
          --base-port) base_port="$2" ;;
          --brokers) brokers="$2" ;;
          --millrace) program="$2" ;;
          --phantoms) phantoms="$2" ;;
        esac
        shift
        ;;
      --follow) follow=true ;;
      -*) wrong_usage "there is no option '$1'" ;;
      *)
        if [[ -z "$command" ]]; then
          command="$1"
        elif [[ -z "$node" ]]; then
          node="$1"
        else
          wrong_usage "'$1' is one word too many"
        fi
        ;;
    esac
    shift
  done
  case "$command" in
    '') wrong_usage 'what to do? start, stop, status, kill, pause, resume or logs' ;;
    start | stop | status) [[ -z "$node" ]] || wrong_usage "$command takes no controller; it is for all of them" ;;
    kill | pause | resume | logs)
      [[ -n "$node" ]] || wrong_usage "$command: which controller? give its number"
      whole_number "$command" "$node" 1 9
      ;;
    *) wrong_usage "there is no command '$command'" ;;
  esac
  [[ -z "$controllers" ]] || whole_number --controllers "$controllers" 1 9
  # The highest port used is the base port + 208.
  [[ -z "$base_port" ]] || whole_number --base-port "$base_port" 1024 65000
  [[ -z "$brokers" ]] || whole_number --brokers "$brokers" 0 99
  if [[ "$command" != start && -n "$controllers$base_port$brokers$program$phantoms" ]]; then
    wrong_usage "only --data-dir is an option of all commands; the others are of start"
  fi
  if [[ "$command" != logs ]] && $follow; then wrong_usage "--follow is an option of logs"; fi
}

# ---- What is in the data directory: cluster.conf (how it was started), and node-N for each controller. ----

read_cluster() {
  [[ -f "$data_dir/cluster.conf" ]] || return 1
  local key value
  while IFS='=' read -r key value; do
    case "$key" in
      controllers) known_controllers="$value" ;;
      base_port) known_base_port="$value" ;;
      program) known_program="$value" ;;
      built) known_built="$value" ;;
    esac
  done <"$data_dir/cluster.conf"
}

# Sets controllers, base_port and program to those of the cluster. Fails if there is none.
load_cluster() {
  read_cluster || fail "there is no cluster in $data_dir: start one, or give its --data-dir"
  controllers="$known_controllers"
  base_port="$known_base_port"
  program="$known_program"
}

node_dir() { printf '%s/node-%s' "$data_dir" "$1"; }
client_port() { printf '%s' $((base_port + $1 - 1)); }
controller_port() { printf '%s' $((base_port + 100 + $1 - 1)); }
http_port() { printf '%s' $((base_port + 200 + $1 - 1)); }

bootstrap() {
  local list='' i
  for ((i = 1; i <= controllers; ++i)); do list+="${list:+,}$host:$(client_port "$i")"; done
  printf '%s' "$list"
}

quorum_addresses() {
  local list='' i
  for ((i = 1; i <= controllers; ++i)); do list+="${list:+,}$host:$(controller_port "$i")"; done
  printf '%s' "$list"
}

voters() {
  local list='' i
  for ((i = 1; i <= controllers; ++i)); do list+="${list:+,}$i@$host:$(controller_port "$i")"; done
  printf '%s' "$list"
}

# A broker without a process is never heard of: no session may end for its silence.
write_config() {
  cat >"$(node_dir "$1")/server.yaml" <<CONFIG
node.id: $1
process.roles: controller
controller.quorum.voters: $(voters)
listeners: PLAINTEXT://$host:$(client_port "$1"),CONTROLLER://$host:$(controller_port "$1")
controller.listener.names: CONTROLLER
http.listener: $host:$(http_port "$1")
broker.session.timeout.ms: 2147483647
CONFIG
}

# ---- Processes. ----

# Prints the process id of controller N if it runs. Another process that has got its id since is not meant.
pid_of() {
  local pid
  pid="$(cat "$(node_dir "$1")/pid" 2>/dev/null)" || return 1
  [[ -n "$pid" ]] && tr "\0" "\n" 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$(node_dir "$1")/server.yaml" ||
    return 1
  # One that has ended and was not waited for has no command line; this is for what comes between.
  [[ "$(state_letter "$pid")" != Z ]] || return 1
  printf '%s' "$pid"
}

state_letter() { sed -n 's/^State:\s*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true; }

require_running() {
  ((node <= controllers)) || fail "there is no controller $node: the cluster in $data_dir has $controllers"
  pid="$(pid_of "$node")" || fail "controller $node does not run"
}

build_program() {
  cd "$root"
  source tools/build_environment.sh
  say 'building the release binary (the first time takes some minutes)'
  bazel build --config=release "${build_flags[@]}" //tools/millrace //tools/bench/probe:phantom_brokers \
    >&2 </dev/null || fail 'the build failed'
  local built
  built="$(bazel info --config=release bazel-bin 2>/dev/null </dev/null)"
  program="$built/tools/millrace/millrace"
  phantoms="${phantoms:-$built/tools/bench/probe/phantom_brokers}"
  cd "$OLDPWD"
}

start_node() {
  local dir
  dir="$(node_dir "$1")"
  mkdir -p "$dir"
  write_config "$1"
  # In a session of its own, so that Ctrl-C at a terminal is not for it.
  setsid "$program" server --config "$dir/server.yaml" --data-dir "$dir/data" >>"$dir/log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$dir/pid"
  # What becomes of it is read from /proc, not told by this shell.
  disown
}

# Waits until every controller answers a question about the quorum, which only one with a leader can.
await_ready() {
  local deadline=$(($(now_ms) + start_seconds_max * 1000)) i
  for ((i = 1; i <= controllers; ++i)); do
    until "$program" quorum describe --timeout 2 --bootstrap "$host:$(client_port "$i")" \
      >/dev/null 2>"$data_dir/describe.log" </dev/null; do
      if ! pid_of "$i" >/dev/null; then
        say "the last lines of controller $i:"
        tail -n 10 "$(node_dir "$i")/log" >&2
        fail "controller $i has ended"
      fi
      (($(now_ms) < deadline)) ||
        fail "controller $i did not answer within $start_seconds_max s: $(tail -n 3 "$data_dir/describe.log")"
      sleep 0.1
    done
  done
}

start() {
  local known_controllers='' known_base_port='' known_program='' known_built='' built=no i started=0
  if read_cluster; then
    [[ -z "$controllers" || "$controllers" == "$known_controllers" ]] ||
      fail "the cluster in $data_dir has $known_controllers controllers, not $controllers; give another --data-dir"
    [[ -z "$base_port" || "$base_port" == "$known_base_port" ]] ||
      fail "the cluster in $data_dir has base port $known_base_port, not $base_port; give another --data-dir"
  fi
  controllers="${controllers:-${known_controllers:-3}}"
  base_port="${base_port:-${known_base_port:-19092}}"
  # A program that was given is kept; one that was built is built again, as the tree may have changed.
  if [[ -z "$program" && "$known_built" == no ]]; then program="$known_program"; fi
  if [[ -z "$program" ]]; then
    build_program
    built=yes
  fi
  program="$(readlink -f "$program")"
  [[ -x "$program" ]] || fail "there is no program at $program"
  mkdir -p "$data_dir"
  data_dir="$(readlink -f "$data_dir")"
  printf 'controllers=%s\nbase_port=%s\nprogram=%s\nbuilt=%s\n' \
    "$controllers" "$base_port" "$program" "$built" >"$data_dir/cluster.conf"
  for ((i = 1; i <= controllers; ++i)); do
    if ! pid_of "$i" >/dev/null; then
      start_node "$i"
      started=$((started + 1))
    fi
  done
  say "started $started of $controllers controllers; their data is in $data_dir"
  await_ready
  if [[ -n "$phantoms" ]] && ((${brokers:=3} > 0)); then
    "$phantoms" --controllers "$(quorum_addresses)" --count "$brokers" >&2 || fail 'no brokers could be registered'
  fi
  say 'all of them answer; clients connect to:'
  printf '%s\n' "$(bootstrap)"
}

stop() {
  local deadline=$(($(now_ms) + stop_seconds_max * 1000)) i pid running=() forced=0
  for ((i = 1; i <= controllers; ++i)); do
    pid="$(pid_of "$i")" || continue
    running+=("$i")
    kill -TERM "$pid" 2>/dev/null || true
    # One that is paused takes the signal when it runs again.
    kill -CONT "$pid" 2>/dev/null || true
  done
  for i in "${running[@]}"; do
    while pid="$(pid_of "$i")"; do
      if (($(now_ms) >= deadline)); then
        say "controller $i did not stop within $stop_seconds_max s of SIGTERM: it is killed"
        kill -KILL "$pid" 2>/dev/null || true
        forced=1
        break
      fi
      sleep 0.05
    done
    rm -f "$(node_dir "$i")/pid"
  done
  say "stopped ${#running[@]} of $controllers controllers"
  return "$forced"
}

status() {
  local i pid state some=''
  printf '%-5s %-8s %-8s %-22s %s\n' NODE PROCESS STATE CLIENTS CONTROLLERS
  for ((i = 1; i <= controllers; ++i)); do
    pid='-'
    state=stopped
    if pid="$(pid_of "$i")"; then
      state=running
      if [[ "$(state_letter "$pid")" == T ]]; then state=paused; else some=yes; fi
    fi
    printf '%-5s %-8s %-8s %-22s %s\n' "$i" "${pid:--}" "$state" "$host:$(client_port "$i")" \
      "$host:$(controller_port "$i")"
  done
  [[ -n "$some" ]] || return 0
  printf '\n'
  "$program" quorum describe --timeout 10 --bootstrap "$(bootstrap)" </dev/null
}

parse "$@"
case "$command" in
  start) start ;;
  stop | status)
    load_cluster
    data_dir="$(readlink -f "$data_dir")"
    "$command"
    ;;
  *)
    load_cluster
    data_dir="$(readlink -f "$data_dir")"
    if [[ "$command" == logs ]]; then
      ((node <= controllers)) || fail "there is no controller $node: the cluster in $data_dir has $controllers"
      if $follow; then exec tail -n 100 -F "$(node_dir "$node")/log"; fi
      exec tail -n 100 "$(node_dir "$node")/log"
    fi
    require_running
    case "$command" in
      kill)
        kill -KILL "$pid"
        rm -f "$(node_dir "$node")/pid"
        say "killed controller $node"
        ;;
      pause)
        kill -STOP "$pid"
        say "paused controller $node"
        ;;
      resume)
        kill -CONT "$pid"
        say "controller $node runs again"
        ;;
    esac
    ;;
esac
