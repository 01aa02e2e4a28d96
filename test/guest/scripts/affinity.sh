# Copies, each of which waits for its interrupt, while that interrupt is moved from one processor to the other and back.
#   ITERATIONS  copies
load_idxd
configure_queue
claim_queue
enable_queue
irq=$(awk '$NF == "idxd-portal" { sub(":", "", $1); print $1 }' /proc/interrupts)
part irq
echo "$irq"

move() {
  local moves=0 cpu
  while [ ! -e /run/copied ]; do
    for cpu in 1 2; do
      echo "$cpu" > "/proc/irq/$irq/smp_affinity"
      moves=$((moves + 1))
      usleep 1000
    done
  done
  echo "$moves" > /run/moves
}
move &
run_dmatest "$ITERATIONS" 1 test_buf_size=4096 noverify=1
: > /run/copied
wait
part moves
cat /run/moves
part interrupts
interrupts_of idxd-portal
show_errors
disable_queue
