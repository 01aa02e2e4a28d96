# Two reboots with a work queue enabled; the same server serves all three boots.
boot=$(boot_number)
part boot-number
echo "$boot"
load_idxd
configure_queue
claim_queue
enable_queue
run_dmatest 10
show_errors
if [ "$boot" -lt 3 ]; then
  request_reboot
fi
