/**
 * The bodies of messages, one file each: its size, a decoder that checks the length first and gives undefined for what is too short, and an encoder.
 */
export * from './bytes.ts';
export * from './device-feature.ts';
export * from './device-info.ts';
export * from './dirty-bitmap.ts';
export * from './dma-access.ts';
export * from './dma-logging.ts';
export * from './dma-map.ts';
export * from './dma-unmap.ts';
export * from './header.ts';
export * from './irq-info.ts';
export * from './migration-data.ts';
export * from './region-access.ts';
export * from './region-capabilities.ts';
export * from './region-info.ts';
export * from './region-io-fds.ts';
export * from './region-write-multi.ts';
export * from './set-irqs.ts';
