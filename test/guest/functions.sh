# Functions for the scripts that run in the guest. The shell is busybox's, with -e and -u.

DSA_BUS=/sys/bus/dsa

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

# The PCI address of the first device that the idxd driver may take.
dsa_address() {
  local device
  for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor")" = 0x8086 ] && [ "$(cat "$device/device")" = 0x0b25 ]; then
      basename "$device"
      return
    fi
  done
  fail 'no DSA on the PCI bus'
}

# Loads idxd and the emulation of the one instruction that the emulated CPU lacks.
load_idxd() {
  modprobe movdir64b_emul
  modprobe idxd
  wait_for 10 test -e "$DSA_BUS/devices/dsa0/state"
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

# Sets up work queue 0 as a dedicated queue for the kernel, with one engine, all in group 0.
configure_queue() {
  local device=$DSA_BUS/devices/dsa0
  echo 0 > "$device/engine0.0/group_id"
  echo dedicated > "$device/wq0.0/mode"
  echo "${WQ_SIZE:-32}" > "$device/wq0.0/size"
  echo 0 > "$device/wq0.0/group_id"
  echo 10 > "$device/wq0.0/priority"
}

# Gives work queue 0 to the kernel's dmaengine: attributes of the driver, none of the device.
claim_queue() {
  local queue=$DSA_BUS/devices/wq0.0
  echo kernel > "$queue/type"
  echo dmatest > "$queue/name"
  echo dmaengine > "$queue/driver_name"
}

# A device with a fixed configuration is ready at probe, and the driver binds it by itself.
enable_queue() {
  [ -e "$DSA_BUS/drivers/idxd/dsa0" ] || echo dsa0 > "$DSA_BUS/drivers/idxd/bind"
  echo wq0.0 > "$DSA_BUS/drivers/dmaengine/bind"
  [ "$(cat "$DSA_BUS/devices/wq0.0/state")" = enabled ] || fail 'wq0.0 is not enabled'
}

disable_queue() {
  echo wq0.0 > "$DSA_BUS/drivers/dmaengine/unbind"
  echo dsa0 > "$DSA_BUS/drivers/idxd/unbind"
}

# How many summaries dmatest has printed so far.
dmatest_summaries() {
  dmesg | grep -c 'dmatest: .*summary' || true
}

# dmatest ITERATIONS [THREADS]: verified copies on the first DMA channel; the summaries are the part "dmatest".
# Its own `run` and `wait` say "done" while threads are still being started: only the summaries are reliable.
run_dmatest() {
  local iterations=$1 threads=${2:-1} before emulated parameters=/sys/module/dmatest/parameters
  before=$(dmatest_summaries)
  emulated=$(cat /sys/module/movdir64b_emul/parameters/hits_kernel)
  modprobe dmatest timeout=20000 "iterations=$iterations" "threads_per_chan=$threads" test_buf_size=16384 \
    polled=0 noverify=0 run=0
  echo dma0chan0 > "$parameters/channel"
  echo 1 > "$parameters/run"
  wait_for 60 eval '[ "$(dmatest_summaries)" -ge '$((before + threads))' ]'
  part dmatest
  dmesg | grep 'dmatest: .*summary' | tail -n "$threads"
  part submissions
  echo $(($(cat /sys/module/movdir64b_emul/parameters/hits_kernel) - emulated))
  rmmod dmatest
}

# The device's error state as the driver reports it: all zero when nothing went wrong.
show_errors() {
  part errors
  cat "$DSA_BUS/devices/dsa0/errors"
  part cmd_status
  cat "$DSA_BUS/devices/dsa0/cmd_status"
}
