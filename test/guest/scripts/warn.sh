# Plants a kernel line at warning level, as the driver would write it.
echo '<4>idxd: planted warning' > /dev/kmsg
