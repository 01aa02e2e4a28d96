import { execFileSync } from 'node:child_process';

/** Fails, with the package to install, where there is no lspci. */
export default function setup(): void {
  try {
    execFileSync('lspci', ['--version'], { stdio: 'pipe' });
  } catch (error) {
    throw new Error('lspci does not run; install it: apt-get install pciutils', { cause: error });
  }
}
