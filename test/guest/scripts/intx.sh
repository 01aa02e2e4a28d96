# The INTx device of support/intx-device.ts, driven through uio_pci_generic.
#   ROUNDS  interrupts of each kind
address=$(pci_addresses 0x1d0f 0x1001)
device=/sys/bus/pci/devices/$address
modprobe uio_pci_generic
echo 1d0f 1001 > /sys/bus/pci/drivers/uio_pci_generic/new_id
wait_for 10 test -c /dev/uio0
part irq
cat "$device/irq"
part events
uio_intx "$device" /dev/uio0 "$ROUNDS"
part interrupts
interrupts_of uio_pci_generic
part lspci
lspci -vvv -s "$address" 2>/dev/null
