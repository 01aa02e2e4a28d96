#!/bin/bash
# Migration under load between two processes, ten times as many, with several seeds.
#
# usage: test/deep/migration.sh [SEEDS]     (default: 4)
#
# A failure names its seed; what the engines have done when a device stops is never the same twice.

set -euo pipefail
export MDEV_MIGRATIONS=200
# shellcheck source=test/deep/lib.sh
. "$(dirname "$0")/lib.sh"
for ((seed = 1; seed <= ${1:-4}; seed++)); do
  echo "seed $seed"
  FC_SEED=$seed count_vitest --testTimeout=600000 --typecheck.enabled=false test/backends/idxd/migration-under-load.test.ts
done
print_counts
