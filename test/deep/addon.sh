#!/bin/bash
# The addon inside Node.js, built with AddressSanitizer and UndefinedBehaviorSanitizer: every test that drives it from
# JavaScript. The native tests see only what is below Node-API.
#
# usage: test/deep/addon.sh
#
# Leaks are not looked for: Node.js itself leaves memory behind when it ends.

set -euo pipefail
# shellcheck source=test/deep/lib.sh
. "$(dirname "$0")/lib.sh"

place=$PWD/crates-free/native/build/sanitized
rm -rf "$place/src"
mkdir -p "$place"
cp -a crates-free/native/binding.gyp crates-free/native/build.mjs crates-free/native/src "$place"
# Not vptr: it opens a pipe for each look at an object, and tests count descriptors.
flags='-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer -g1'
CXXFLAGS=$flags LDFLAGS=$flags node "$place/build.mjs"

export MDEV_NATIVE_PATH=$place/build/Release/mdev.node
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
# Not those that compile programs of their own: vitest ignores --exclude where there are projects.
mapfile -t native < <(find test/native -name '*.test.ts' ! -name 'native-*')
# Before anything else in each process, because node itself is not built with it. Not in the shell that starts it.
LD_PRELOAD=$("${CXX:-g++}" -print-file-name=libasan.so) count_vitest --typecheck.enabled=false \
  "${native[@]}" test/vfio-user test/protocol test/engine test/mdev test/backends
print_counts
