# The guest takes the device out of the domain that translates for it and puts it back, and reboots with a queue enabled.
# Copies in each domain; the second boot copies once.
boot=$(boot_number)
group=/sys/bus/pci/devices/$(dsa_address)/iommu_group
copy() {
  part domain
  cat "$group/type"
  load_idxd
  configure_queue
  claim_queue
  enable_queue
  run_dmatest "$ITERATIONS"
  show_errors
}
if [ "$boot" = 1 ]; then
  for type in identity DMA; do
    copy
    disable_queue
    rmmod idxd
    echo "$type" > "$group/type"
  done
fi
copy
if [ "$boot" = 1 ]; then
  request_reboot
fi
