# shellcheck shell=bash
# What .ci/run and .ci/deep share: runners, their counts, and the last line.

exec </dev/null
export CI=true DEBIAN_FRONTEND=noninteractive

# start_results NAME: an empty folder for the reports of this run.
start_results() {
  results=$PWD/test-results/$1
  rm -rf "$results"
  mkdir -p "$results"
  : > "$results/runners"
  started=$SECONDS
}

step() {
  printf '\n=== %s (%d s)\n' "$1" "$((SECONDS - started))"
}

# Ends a run that could not even start its tests.
abort() {
  echo '0 passed, 1 failed'
  exit 1
}

apt_install() {
  apt-get update -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 &&
    apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# runner NAME COMMAND...: one test that passes when the command does.
runner() {
  local name=$1 status=0
  shift
  step "$name"
  "$@" || status=$?
  printf 'command\t%s\t%d\n' "$name" "$status" >> "$results/runners"
}

# vitest_runner NAME COMMAND...: a command that hands its last arguments to vitest; counts come from its JSON report.
vitest_runner() {
  local name=$1 status=0
  shift
  step "$name"
  "$@" --reporter=default --reporter=json --outputFile.json="$results/$name.json" || status=$?
  printf 'vitest\t%s\t%d\n' "$name" "$status" >> "$results/runners"
}

# counting_runner NAME COMMAND...: a command whose last line is "N passed, N failed".
counting_runner() {
  local name=$1 status=0
  shift
  step "$name"
  "$@" 2>&1 | tee "$results/$name.log" || status=$?
  printf 'counting\t%s\t%d\n' "$name" "$status" >> "$results/runners"
}

# Prints the sum as the last line; the exit code says whether all is well.
finish() {
  step 'summary'
  node .ci/sum.mjs "$results"
}
