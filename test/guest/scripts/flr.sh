# A function level reset through sysfs: once with the driver bound to a device that is not configured, once with no
# driver at all. The device works after each.
address=$(dsa_address)
device=/sys/bus/pci/devices/$address
part reset-method
cat "$device/reset_method"

load_idxd
echo flr > "$device/reset_method"
echo 1 > "$device/reset"
configure_queue
claim_queue
enable_queue
run_dmatest 10
disable_queue

echo "$address" > /sys/bus/pci/drivers/idxd/unbind
echo 1 > "$device/reset"
part command-after-reset
setpci -s "$address" COMMAND
echo "$address" > /sys/bus/pci/drivers/idxd/bind
wait_for 10 test -e "$DSA_BUS/devices/dsa0/state"
part state-after-reset
cat "$DSA_BUS/devices/dsa0/state"
configure_queue
claim_queue
enable_queue
run_dmatest 10
show_errors
