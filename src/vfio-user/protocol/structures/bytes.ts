export * from '../../../mdev/base/bytes.ts';
