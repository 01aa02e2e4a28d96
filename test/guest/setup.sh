#!/bin/bash
# Builds the guest that the end-to-end tests boot. Needs root and a Debian with apt; takes one to two minutes.
#
# usage: setup.sh [--force]
#
# Everything lands in $GUEST_DIR (default ~/.cache/mdev-guest): a Debian trixie tree with backports that provides
# QEMU with a vfio-user client, the kernel and its modules; the kernel uncompressed; the initramfs. Outside of it the
# machine only gains the package debootstrap. A guest that is complete and up to date is left alone unless --force.
#
# environment:
#   GUEST_DIR       where the guest lives
#   GUEST_KERNEL    kernel release, such as 7.2.12+deb13-amd64, or "newest": that of trixie-backports. Default: the one
#                   below, so that every run has the same judge; the newest, and it says so, once Debian has dropped it
#   DEBIAN_MIRROR   base address of the mirror (default: the one that this machine's apt uses)

set -euo pipefail
kit=$(cd "$(dirname "$0")" && pwd)
. "$kit/lib.sh"

force=no
case ${1:-} in
  '') ;;
  --force) force=yes ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

# What the tests are known to pass with.
kernel=${GUEST_KERNEL:-7.3.4+deb13-amd64}
stamp=$GUEST_DIR/complete
expected="$(kit_hash "$kit") $kernel"
# Says which kernel the guest has, and each time that it is not the one that was meant.
say_complete() {
  local release
  release=$(cat "$GUEST_DIR/kernel-release")
  if [ "$kernel" != newest ] && [ "$kernel" != "$release" ]; then
    note "WARNING: Debian does not offer Linux $kernel any more; the guest has the newest one instead."
    note "WARNING: what fails now may be the kernel's fault. Name one that the tests pass with in setup.sh."
  fi
  note "guest is $1 in $GUEST_DIR: Linux $release"
}

if [ "$force" = no ] && [ "$(cat "$stamp" 2>/dev/null)" = "$expected" ]; then
  say_complete 'up to date'
  exit 0
fi
[ "$(id -u)" = 0 ] || die "needs root to make a Debian tree in $GUEST_ROOT"

# The archive that this machine's apt already uses, from either format of its source lists.
find_mirror() {
  { cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
    sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] *)?([^ ]+).*/\2/p' |
    grep -E '/debian/?$' | head -n 1
}

apt_options=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -q)

in_root() {
  chroot "$GUEST_ROOT" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
}

in_root_apt() {
  in_root apt-get "${apt_options[@]}" "$@" </dev/null
}

# 1. The Debian tree.
make_root() {
  if [ ! -x "$GUEST_ROOT/usr/bin/apt-get" ]; then
    if ! command -v debootstrap >/dev/null; then
      DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" install -y --no-install-recommends debootstrap </dev/null
    fi
    rm -rf "$GUEST_ROOT"
    debootstrap --variant=minbase trixie "$GUEST_ROOT" "$mirror"
  fi
  cp /etc/resolv.conf "$GUEST_ROOT/etc/resolv.conf"
  rm -f "$GUEST_ROOT"/etc/apt/sources.list.d/*
  printf 'deb %s %s main\n' "$mirror" trixie "$mirror" trixie-backports > "$GUEST_ROOT/etc/apt/sources.list"
  in_root_apt update
}

# 2. QEMU, what builds modules, and the programs that go into the initramfs.
install_packages() {
  in_root_apt install -y --no-install-recommends -t trixie-backports \
    qemu-system-x86 "linux-headers-$release" "linux-source-$series"
  in_root_apt install -y --no-install-recommends build-essential accel-config busybox-static kmod pciutils xz-utils zstd
}

# Whether Debian still has everything of a kernel that the guest is made of.
is_offered() {
  local package
  for package in "linux-binary-$1" "linux-modules-$1" "linux-headers-$1" "linux-source-$(series_of "$1")"; do
    in_root apt-cache show "$package" >/dev/null 2>&1 || return 1
  done
}

series_of() {
  cut -d . -f 1,2 <<< "$1"
}

newest_kernel() {
  in_root_apt install -s -t trixie-backports linux-image-amd64 |
    sed -nE 's/^Inst linux-image-([0-9][^ ]*) .*/\1/p' | head -n 1
}

# 3. The kernel and its modules, unpacked rather than installed: no boot loader, no hooks.
unpack_kernel() {
  local packages=$GUEST_ROOT/tmp/kernel-packages unpacked=$GUEST_ROOT/tmp/kernel
  rm -rf "$packages" "$unpacked"
  mkdir -p "$packages" "$unpacked"
  in_root sh -c "cd /tmp/kernel-packages && apt-get ${apt_options[*]} download -t trixie-backports \
    'linux-binary-$release' 'linux-modules-$release'"
  local package
  for package in "$packages"/*.deb; do
    in_root dpkg-deb -x "/tmp/kernel-packages/$(basename "$package")" /tmp/kernel
  done
  rm -rf "$packages" "$GUEST_ROOT/usr/lib/modules/$release/kernel"
  mkdir -p "$GUEST_ROOT/usr/lib/modules/$release"
  mv "$unpacked/usr/lib/modules/$release/kernel" "$GUEST_ROOT/usr/lib/modules/$release/"

  local source=/usr/src/linux-source-$series
  if [ ! -e "$GUEST_ROOT$source/drivers/dma/dmatest.c" ]; then
    in_root tar -C /usr/src -xf "$source.tar.xz" \
      "linux-source-$series/scripts/extract-vmlinux" "linux-source-$series/drivers/dma"
  fi
  # QEMU enters an uncompressed kernel through PVH, which saves the guest two seconds of decompression.
  in_root bash "$source/scripts/extract-vmlinux" "/tmp/kernel/usr/lib/modules/$release/vmlinuz" > "$GUEST_DIR/vmlinux"
  rm -rf "$unpacked"
}

# 4. The modules that Debian does not ship: the MOVDIR64B emulation, and dmatest, which its configuration leaves out.
build_modules() {
  local build=$GUEST_ROOT/usr/src/guest-modules extra=$GUEST_ROOT/usr/lib/modules/$release/extra
  rm -rf "$build" "$extra"
  mkdir -p "$build" "$extra"
  cp "$kit"/movdir64b_emul/* "$GUEST_ROOT/usr/src/linux-source-$series/drivers/dma/dmatest.c" "$build/"
  printf 'obj-m += dmatest.o\n' >> "$build/Kbuild"
  in_root make -s -C "/usr/src/linux-headers-$release" M=/usr/src/guest-modules modules
  cp "$build"/*.ko "$extra/"
  in_root depmod "$release"
}

# 5. The programs of this kit.
build_programs() {
  local source name
  for source in "$kit"/programs/*.c; do
    name=$(basename "$source" .c)
    cp "$source" "$GUEST_ROOT/tmp/$name.c"
    in_root gcc -std=gnu17 -O2 -Wall -Wextra -Werror -static -o "/usr/local/bin/$name" "/tmp/$name.c"
    rm "$GUEST_ROOT/tmp/$name.c"
  done
}

mirror=${DEBIAN_MIRROR:-$(find_mirror)}
[ -n "$mirror" ] || die 'apt of this machine has no Debian archive configured: set DEBIAN_MIRROR'

mkdir -p "$GUEST_DIR"
rm -f "$stamp"
make_root
if ! mountpoint -q "$GUEST_ROOT/proc"; then
  mount -t proc proc "$GUEST_ROOT/proc"
  trap 'umount "$GUEST_ROOT/proc"' EXIT
fi
release=$kernel
if [ "$kernel" = newest ]; then
  release=$(newest_kernel)
elif ! is_offered "$kernel"; then
  [ -z "${GUEST_KERNEL:-}" ] || die "Debian does not offer $kernel (any more): set GUEST_KERNEL to another one, or to newest"
  release=$(newest_kernel)
fi
[ -n "$release" ] || die 'trixie-backports has no kernel: set GUEST_KERNEL'
series=$(series_of "$release")
install_packages
unpack_kernel
build_modules
build_programs
printf '%s\n' "$release" > "$GUEST_DIR/kernel-release"
"$kit/mkinitramfs.sh"
printf '%s\n' "$expected" > "$stamp"
say_complete complete
