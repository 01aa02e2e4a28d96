#!/bin/bash
# Packs the guest's initramfs: busybox, accel-config, lspci, the kit's programs, the modules that the tests load, init.
#
# usage: mkinitramfs.sh
#
# Reads the Debian tree in $GUEST_DIR/root and writes $GUEST_DIR/initramfs.cpio (uncompressed: unpacking costs the
# guest more than reading). setup.sh calls it; call it again after changing init or functions.sh. Needs root.

set -euo pipefail
kit=$(cd "$(dirname "$0")" && pwd)
. "$kit/lib.sh"

case ${1:-} in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

# What the scripts in scripts/ load; dependencies come along.
modules=(idxd dmatest movdir64b_emul movdir64b_test uio_pci_generic)
programs=(/usr/bin/accel-config /usr/bin/lspci /usr/bin/setpci)

release=$(cat "$GUEST_DIR/kernel-release") || die "no guest in $GUEST_DIR: run setup.sh"
# Inside the tree, so that its own tools can be run on it.
stage=$GUEST_ROOT/tmp/initramfs
trap 'rm -rf "$stage"' EXIT
rm -rf "$stage"

in_root() {
  chroot "$GUEST_ROOT" "$@"
}

make_skeleton() {
  mkdir -p "$stage"/{dev,etc,proc,run,sys,tmp,usr/bin,usr/lib/x86_64-linux-gnu,usr/lib64,usr/share/misc}
  ln -s usr/bin "$stage/bin"
  ln -s usr/bin "$stage/sbin"
  ln -s usr/lib "$stage/lib"
  ln -s usr/lib64 "$stage/lib64"
  cp "$GUEST_ROOT/usr/bin/busybox" "$stage/usr/bin/"
  local applet
  for applet in $(in_root busybox --list); do
    [ -e "$stage/usr/bin/$applet" ] || ln -s busybox "$stage/usr/bin/$applet"
  done
}

# The program $1 with the libraries it is linked to.
add_program() {
  local library
  rm -f "$stage$1"
  cp -L "$GUEST_ROOT$1" "$stage$1"
  in_root ldd "$1" | grep -oE '/[^ ]+' | while read -r library; do
    case $library in
      /lib64/*) cp -L "$GUEST_ROOT$library" "$stage/usr/lib64/" ;;
      *) cp -L "$GUEST_ROOT$library" "$stage/usr/lib/x86_64-linux-gnu/" ;;
    esac
  done
}

# Every module named in `modules` and what it needs, decompressed, with the data that modprobe reads.
add_modules() {
  local name path file target
  for name in "${modules[@]}"; do
    in_root modprobe -S "$release" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | sort -u | while read -r path; do
    file=${path%.xz}
    target=$stage/usr/lib/modules/$release/${file#*/modules/"$release"/}
    mkdir -p "$(dirname "$target")"
    case $path in
      *.xz) in_root xz -dc "$path" > "$target" ;;
      *) cp "$GUEST_ROOT$path" "$target" ;;
    esac
    in_root strip --strip-debug "${target#"$GUEST_ROOT"}"
  done
  in_root depmod -b "${stage#"$GUEST_ROOT"}" "$release" 2>/dev/null
}

make_skeleton
for program in "${programs[@]}"; do
  add_program "$program"
done
add_modules
for source in "$kit"/programs/*.c; do
  install -m 755 "$GUEST_ROOT/usr/local/bin/$(basename "$source" .c)" "$stage/usr/bin/"
done
install -m 755 "$kit/init" "$stage/init"
install -D -m 644 "$kit/functions.sh" "$stage/usr/lib/guest/functions.sh"
(cd "$stage" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) > "$GUEST_DIR/initramfs.cpio.new"
mv "$GUEST_DIR/initramfs.cpio.new" "$GUEST_DIR/initramfs.cpio"
