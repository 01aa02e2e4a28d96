export * from '../../mdev/dma-logging-data.ts';
