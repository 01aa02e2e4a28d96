# shellcheck shell=bash
# What the long runs share: counting what vitest reports. Not a run itself: .ci/deep takes it for none.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
report=$(mktemp)
trap 'rm -f "$report"' EXIT
passed=0
failed=0

# count_vitest ARGUMENTS...: runs vitest and adds up its tests. A run that failed without a failed test counts as one.
count_vitest() {
  local p f
  echo '{}' > "$report"
  node node_modules/vitest/vitest.mjs run --reporter=default --reporter=json --outputFile.json="$report" "$@" || true
  read -r p f < <(node -e '
    const { numPassedTests = 0, numFailedTests = 0, success = false } =
      JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    console.log(numPassedTests, numFailedTests || (success ? 0 : 1));
  ' "$report")
  passed=$((passed + p))
  failed=$((failed + f))
}

# The last line of a run, and its exit code.
print_counts() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
