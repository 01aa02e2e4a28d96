export * from '../../../mdev/dma/dma-logging-data.ts';
