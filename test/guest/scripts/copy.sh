# One kernel work queue, verified copies through it.
#   CONFIGURE   yes: the guest sets the queue up; no: it takes the queue as it comes
#   ITERATIONS  copies per thread
#   THREADS     threads that submit to the queue at once
load_idxd
if [ "$CONFIGURE" = yes ]; then
  configure_queue
fi
part configurable
cat "$DSA_BUS/devices/dsa0/configurable"
part path
readlink "/sys/bus/pci/devices/$(dsa_address)"
part lspci
lspci -vvv -s "$(dsa_address)" 2>/dev/null
part iommu
# DMA-FQ and DMA translate; there is no group without an IOMMU.
cat "/sys/bus/pci/devices/$(dsa_address)/iommu_group/type" 2>/dev/null || echo none
claim_queue
enable_queue
part event_log_size
cat "$DSA_BUS/devices/dsa0/event_log_size" 2>/dev/null || echo none
run_dmatest "$ITERATIONS" "$THREADS"
show_errors
disable_queue
rmmod idxd
