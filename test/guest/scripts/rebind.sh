# The driver lets go of the device and takes it again, then is unloaded and loaded; the queue works each time.
# Queue and device are disabled first: this kernel's driver frees its queues before it disables them, and crashes.
address=$(dsa_address)
driver=/sys/bus/pci/drivers/idxd
load_idxd
for _ in 1 2 3; do
  configure_queue
  claim_queue
  enable_queue
  run_dmatest 10
  disable_queue
  echo "$address" > "$driver/unbind"
  [ ! -e "$DSA_BUS/devices/dsa0" ] || fail 'dsa0 outlives its driver'
  echo "$address" > "$driver/bind"
  wait_for 10 test -e "$DSA_BUS/devices/dsa0/state"
done
rmmod idxd
load_idxd
configure_queue
claim_queue
enable_queue
run_dmatest 10
show_errors
