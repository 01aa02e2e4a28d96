# Verified copies while the host replaces the server.
#   ITERATIONS  copies
load_idxd
configure_queue
claim_queue
enable_queue
part copying
run_dmatest "$ITERATIONS" 1
show_errors
disable_queue
rmmod idxd
