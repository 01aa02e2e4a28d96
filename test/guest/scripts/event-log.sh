# An error of a kernel queue while the driver has the event log in use: its interrupt thread takes the entry out and says so.
load_idxd
configure_queue
claim_queue
enable_queue
part event_log_size
cat "$DSA_BUS/devices/dsa0/event_log_size" 2>/dev/null || echo none
device=/sys/bus/pci/devices/$(dsa_address)
for count in 1 2 3; do
  post_descriptor "$device" || fail "no descriptor was posted"
  wait_for 10 eval '[ "$(dmesg | grep -c "Device error 0x1b")" -ge '"$count"' ]'
done
part device_errors
dmesg | grep -o 'Device error 0x.*'
run_dmatest 50 1
show_errors
disable_queue
rmmod idxd
