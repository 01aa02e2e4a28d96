export * from '../../mdev/bytes.ts';
