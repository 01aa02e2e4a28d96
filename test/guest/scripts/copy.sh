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
claim_queue
enable_queue
run_dmatest "$ITERATIONS" "$THREADS"
show_errors
disable_queue
rmmod idxd
