/**
 * Who asked for a reset: the guest by PCI Express FLR or by leaving D3hot (PCI Power Management 1.2, 5.4.1), the client by
 * DEVICE_RESET or by coming to a frozen instance, or who owns the instance.
 */
export type ResetCause = 'flr' | 'power' | 'client' | 'owner';
