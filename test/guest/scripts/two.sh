# Two DSAs in one machine: the first is set up by the guest, the second comes as it is. Both copy at the same time.
load_idxd 2
for DSA in 0 1; do
  [ "$(cat "$DSA_BUS/devices/dsa$DSA/configurable")" = 0 ] || configure_queue
  claim_queue
  enable_queue
done
part functions
pci_addresses 0x8086 0x0b25
CHANNELS='dma0chan0 dma1chan0' run_dmatest "$ITERATIONS"
for DSA in 0 1; do
  show_errors
  part interrupts
  grep "idxd-portal" /proc/interrupts
  disable_queue
done
rmmod idxd
