#!/bin/bash
# The guest's copies, twenty times as many: 2,000 per thread.
#
# usage: test/deep/guest.sh [ITERATIONS]     (default: 2000)

set -euo pipefail
# shellcheck source=test/deep/lib.sh
. "$(dirname "$0")/lib.sh"
MDEV_GUEST_ITERATIONS=${1:-2000} count_vitest --config vitest.guest.config.ts test/guest/copy.test.ts
print_counts
