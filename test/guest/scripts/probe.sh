# The driver takes the device and finds what it expects, and the tools see a sane PCI device.
address=$(dsa_address)
load_idxd

part driver
basename "$(readlink "/sys/bus/pci/devices/$address/driver")"

part state
cat "$DSA_BUS/devices/dsa0/state"

part queues
ls "$DSA_BUS/devices" | grep -c '^wq0\.'

part self-test
modprobe movdir64b_test
dmesg | grep 'movdir64b_test:'

part attributes
for attribute in version configurable max_work_queues max_work_queues_size max_groups max_engines \
  max_transfer_size max_batch_size op_cap errors; do
  echo "$attribute $(cat "$DSA_BUS/devices/dsa0/$attribute")"
done

part lspci
lspci -vvv -s "$address" 2>/dev/null

part config
hexdump -v -e '1/1 "%02x"' "/sys/bus/pci/devices/$address/config"
echo

part resources
cat "/sys/bus/pci/devices/$address/resource"

part accel-config
accel-config list -i
