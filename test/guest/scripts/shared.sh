# A shared kernel queue: copies by ENQCMDS, which the device takes or answers with Retry.
#   ITERATIONS  copies per thread while the queue has room
#   THREADS     threads that submit to it at once
#   THRESHOLD   of the queue
#   TRIES       copies that begin while the threshold is 0: the driver gives each up after many Retries, until it is not 0
EMULATION=enqcmds=1
parameters=/sys/module/movdir64b_emul/parameters
# WQCFG[0].THRESHOLD. Linux writes it when it enables the queue; the device looks at it at any time.
threshold() {
  local start _
  read -r start _ < "/sys/bus/pci/devices/$(dsa_address)/resource"
  busybox devmem $((start + 0x804)) 32 "$1"
}
answers() {
  part taken
  cat "$parameters/enqcmds_taken"
  part retried
  cat "$parameters/enqcmds_retried"
}

load_idxd
configure_queue
claim_queue
enable_queue
part queue
cat "$DSA_BUS/devices/dsa0/pasid_enabled" "$DSA_BUS/devices/wq0.0/mode" "$DSA_BUS/devices/wq0.0/threshold" \
  "$DSA_BUS/devices/wq0.0/enqcmds_retries"
run_dmatest "$ITERATIONS" "$THREADS"
answers
disable_queue

configure_queue
claim_queue
enable_queue
threshold 0
(
  sleep 1
  threshold "$THRESHOLD"
) &
run_dmatest "$TRIES"
wait
answers
show_errors
disable_queue
