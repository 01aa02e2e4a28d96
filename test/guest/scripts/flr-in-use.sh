# A function level reset through sysfs of a device whose queue is enabled: the driver halts, restores the device's
# configuration, and the queue is for whoever binds it again.
address=$(dsa_address)
device=/sys/bus/pci/devices/$address
load_idxd
configure_queue
claim_queue
enable_queue
echo flr > "$device/reset_method"
echo 1 > "$device/reset"
part state-after-reset
cat "$DSA_BUS/devices/dsa0/state" "$DSA_BUS/devices/wq0.0/state"
enable_queue
run_dmatest 10
show_errors
