#!/bin/bash
# The native tests, over and over: ThreadSanitizer and AddressSanitizer see only what happens in their run.
#
# usage: test/deep/sanitizers.sh [ROUNDS]     (default: 5)

set -euo pipefail
export MDEV_STRESS_STEPS=80000
# shellcheck source=test/deep/lib.sh
. "$(dirname "$0")/lib.sh"
for ((round = 1; round <= ${1:-5}; round++)); do
  echo "round $round"
  count_vitest --config vitest.native.config.ts --testTimeout=300000
done
print_counts
