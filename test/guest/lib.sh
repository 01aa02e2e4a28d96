# shellcheck shell=bash
# What the scripts of the guest kit share. Sourced, never run.

# The folder that holds the guest: GUEST_DIR, or one below the user's cache.
GUEST_DIR=${GUEST_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/mdev-guest}

# The Debian tree inside it that provides QEMU, the kernel and the guest's programs.
# shellcheck disable=SC2034
GUEST_ROOT=$GUEST_DIR/root

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

note() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

# Prints the comment block at the top of the running script.
usage() {
  sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"
}

# A hash of everything in this folder that decides what setup.sh builds.
kit_hash() {
  local kit=$1
  cat "$kit"/{lib.sh,setup.sh,mkinitramfs.sh,init,functions.sh} "$kit"/movdir64b_emul/* "$kit"/programs/* | sha256sum | cut -d ' ' -f 1
}
