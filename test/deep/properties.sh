#!/bin/bash
# Every property test again, with seeds of its own: random blocks, accesses, descriptors, messages and hostile clients.
#
# usage: test/deep/properties.sh [SEEDS]     (default: 8)
#
# A failure names its seed; FC_SEED=… npx vitest run FILE repeats it.

set -euo pipefail
# shellcheck source=test/deep/lib.sh
. "$(dirname "$0")/lib.sh"
for ((seed = 1; seed <= ${1:-8}; seed++)); do
  echo "seed $seed"
  FC_SEED=$seed count_vitest --testTimeout=180000 --typecheck.enabled=false \
    test/emulation test/engine test/backends test/mdev test/vfio-user test/native/dispatcher.test.ts
done
print_counts
