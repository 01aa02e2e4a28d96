#!/bin/bash
# Random sequences of messages against the model of the server, with seeds of their own.
#
# usage: test/deep/model.sh [SEEDS]     (default: 20, of 10,000 sequences each)

set -euo pipefail
cd "$(dirname "$0")/../.."
passed=0
failed=0
for ((seed = 1; seed <= ${1:-20}; seed++)); do
  if node test/protocol/model/run.mjs --seed "$seed"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
