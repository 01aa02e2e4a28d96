# Functions for the scripts that run in the guest. The shell is busybox's, with -e and -u.

DSA_BUS=/sys/bus/dsa
# The driver's number of the DSA that the functions below work on.
DSA=0

# Starts a part of the output: everything up to the next one belongs to NAME.
part() {
  echo "@@ $1"
}

fail() {
  echo "guest: $*" >&2
  exit 1
}

# wait_for SECONDS COMMAND...: repeats the command until it succeeds.
wait_for() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "gave up waiting for: $*"
    sleep 0.1
  done
}

# pci_addresses VENDOR DEVICE: the addresses of all such functions, in the order of the bus; fails when there is none.
pci_addresses() {
  local device found=no
  for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor")" = "$1" ] && [ "$(cat "$device/device")" = "$2" ]; then
      basename "$device"
      found=yes
    fi
  done
  [ "$found" = yes ]
}

# The PCI address of the first device that the idxd driver may take.
dsa_address() {
  local addresses
  addresses=$(pci_addresses 0x8086 0x0b25) || fail 'no DSA on the PCI bus'
  echo "$addresses" | head -n 1
}

# Loads idxd and the emulation of the instructions that the emulated CPU lacks ($EMULATION is for that module); waits for
# as many devices as given.
load_idxd() {
  local last=$((${1:-1} - 1))
  # shellcheck disable=SC2086
  modprobe movdir64b_emul ${EMULATION:-}
  modprobe idxd
  wait_for 10 test -e "$DSA_BUS/devices/dsa$last/state"
}

# interrupts_of NAME: how many of the interrupts that /proc/interrupts lists under this name each processor took.
interrupts_of() {
  awk -v name="$1" '
    NR == 1 { cpus = NF; next }
    $NF == name { for (i = 0; i < cpus; i++) count[i] += $(i + 2) }
    END { for (i = 0; i < cpus; i++) printf "%d%s", count[i], i + 1 < cpus ? " " : "\n" }
  ' /proc/interrupts
}

# boot_number: 1 on the first boot of this machine, 2 on the next: a byte in the clock's battery-backed memory counts.
boot_number() {
  local memory=/sys/bus/nvmem/devices/cmos_nvram0/nvmem offset=64 count
  if [ ! -e /run/boot-number ]; then
    wait_for 5 test -e "$memory"
    count=$(dd if="$memory" bs=1 skip="$offset" count=1 2>/dev/null | hexdump -e '1/1 "%d"')
    count=$((count + 1))
    # busybox's printf takes \xHH.
    printf "\\x$(printf %02x "$count")" | dd of="$memory" bs=1 seek="$offset" count=1 conv=notrunc 2>/dev/null
    echo "$count" > /run/boot-number
  fi
  cat /run/boot-number
}

# Makes init reboot instead of switching off when the script has ended.
request_reboot() {
  : > /run/reboot
}

# Sets up work queue 0 as a dedicated queue for the kernel, or a shared one if $THRESHOLD is set, with one engine, all
# in group 0.
configure_queue() {
  local device=$DSA_BUS/devices/dsa$DSA
  echo 0 > "$device/engine$DSA.0/group_id"
  if [ -n "${THRESHOLD:-}" ]; then echo shared; else echo dedicated; fi > "$device/wq$DSA.0/mode"
  echo "${WQ_SIZE:-32}" > "$device/wq$DSA.0/size"
  [ -z "${THRESHOLD:-}" ] || echo "$THRESHOLD" > "$device/wq$DSA.0/threshold"
  echo 0 > "$device/wq$DSA.0/group_id"
  echo 10 > "$device/wq$DSA.0/priority"
}

# Gives work queue 0 to the kernel's dmaengine: attributes of the driver, none of the device.
claim_queue() {
  local queue=$DSA_BUS/devices/wq$DSA.0
  echo kernel > "$queue/type"
  echo dmatest > "$queue/name"
  echo dmaengine > "$queue/driver_name"
}

# A device with a fixed configuration is ready at probe, and the driver binds it by itself.
enable_queue() {
  [ -e "$DSA_BUS/drivers/idxd/dsa$DSA" ] || echo "dsa$DSA" > "$DSA_BUS/drivers/idxd/bind"
  echo "wq$DSA.0" > "$DSA_BUS/drivers/dmaengine/bind"
  [ "$(cat "$DSA_BUS/devices/wq$DSA.0/state")" = enabled ] || fail "wq$DSA.0 is not enabled"
}

disable_queue() {
  echo "wq$DSA.0" > "$DSA_BUS/drivers/dmaengine/unbind"
  echo "dsa$DSA" > "$DSA_BUS/drivers/idxd/unbind"
}

# How many summaries dmatest has printed so far.
dmatest_summaries() {
  dmesg | grep -c 'dmatest: .*summary' || true
}

# run_dmatest ITERATIONS [THREADS [PARAMETER=VALUE...]]: verified copies on $CHANNELS (dma0chan0 when unset), so many
# threads on each; the summaries are the part "dmatest".
# Once for each time that the queue is enabled: when dmatest lets go of its channel, Linux 7 gives the queue's interrupt handle up
# (idxd_wq_flush_descs), and what is submitted then carries handle 0xffff, which a DSA refuses with status 0x19.
# Its own `run` and `wait` say "done" while threads are still being started: only the summaries are reliable.
run_dmatest() {
  local iterations=$1 threads=${2:-1} summaries=0 before emulated channel parameters=/sys/module/dmatest/parameters
  shift $(($# < 2 ? $# : 2))
  before=$(dmatest_summaries)
  emulated=$(cat /sys/module/movdir64b_emul/parameters/hits_kernel)
  modprobe dmatest timeout=20000 "iterations=$iterations" "threads_per_chan=$threads" test_buf_size=16384 \
    polled=0 noverify=0 run=0 "$@"
  for channel in ${CHANNELS:-dma0chan0}; do
    echo "$channel" > "$parameters/channel"
    summaries=$((summaries + threads))
  done
  echo 1 > "$parameters/run"
  wait_for 60 eval '[ "$(dmatest_summaries)" -ge '$((before + summaries))' ]'
  part dmatest
  dmesg | grep 'dmatest: .*summary' | tail -n "$summaries"
  part submissions
  echo $(($(cat /sys/module/movdir64b_emul/parameters/hits_kernel) - emulated))
  rmmod dmatest
}

# The device's error state as the driver reports it: all zero when nothing went wrong.
show_errors() {
  part errors
  cat "$DSA_BUS/devices/dsa$DSA/errors"
  part cmd_status
  cat "$DSA_BUS/devices/dsa$DSA/cmd_status"
}
