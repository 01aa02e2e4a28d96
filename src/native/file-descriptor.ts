import { addon } from './addon.ts';

const native = addon as { readonly duplicateFd: (fd: number) => number; readonly closeFd: (fd: number) => void };

/** A duplicate of a file descriptor, closed on exec. Throws an Error with a `code`. */
export const duplicateFd = native.duplicateFd;

/** Closes a file descriptor. Throws an Error with a `code`. */
export const closeFd = native.closeFd;
