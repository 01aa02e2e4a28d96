/** A memory BAR as lspci shows it. */
export interface LspciRegion {
  readonly index: number;
  /** Address width in bits. */
  readonly width: number;
  readonly prefetchable: boolean;
  /** Size in bytes. */
  readonly size: number;
}

/** A capability of the first 256 bytes as lspci shows it. */
interface LspciCapability {
  readonly offset: number;
  /** lspci's words, without its decoding of the fields: `MSI-X`, `Express (v2)`, `Power Management version 3`. */
  readonly name: string;
}

/** Where the MSI-X table and the pending bits are. */
interface LspciMsix {
  readonly vectors: number;
  readonly table: { readonly bar: number; readonly offset: number };
  readonly pba: { readonly bar: number; readonly offset: number };
}

/** What `lspci -vvv` says about one device, as far as the tests look. */
export interface Lspci {
  readonly regions: readonly LspciRegion[];
  readonly capabilities: readonly LspciCapability[];
  readonly msix: LspciMsix | undefined;
  readonly functionLevelReset: boolean;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

function parseRegions(text: string): LspciRegion[] {
  const pattern = /^\s*Region (\d): Memory at \S+ \((\d+)-bit, (non-)?prefetchable\).*\[size=(\d+)([KMG]?)\]/gm;
  return [...text.matchAll(pattern)].map(([, index, width, non, size, unit]) => ({
    index: Number(index),
    width: Number(width),
    prefetchable: non === undefined,
    size: Number(size) * (UNITS[unit ?? ''] ?? NaN),
  }));
}

function parseCapabilities(text: string): LspciCapability[] {
  const pattern =
    /^\s*Capabilities: \[([0-9a-f]{2})\] (MSI-X|MSI|Express \(v\d\)|Power Management version \d|Vendor Specific Information|[^:\n]+)/gm;
  return [...text.matchAll(pattern)].map(([, offset = '', name = '']) => ({ offset: parseInt(offset, 16), name }));
}

function parseMsix(text: string): LspciMsix | undefined {
  const match =
    /MSI-X: Enable[+-] Count=(\d+).*\n\s*Vector table: BAR=(\d) offset=([0-9a-f]+)\n\s*PBA: BAR=(\d) offset=([0-9a-f]+)/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, vectors, tableBar, tableOffset = '', pbaBar, pbaOffset = ''] = match;
  return {
    vectors: Number(vectors),
    table: { bar: Number(tableBar), offset: parseInt(tableOffset, 16) },
    pba: { bar: Number(pbaBar), offset: parseInt(pbaOffset, 16) },
  };
}

/** Reads the output of `lspci -vvv` for one device. */
export function parseLspci(lines: readonly string[]): Lspci {
  const text = lines.join('\n');
  return {
    regions: parseRegions(text),
    capabilities: parseCapabilities(text),
    msix: parseMsix(text),
    functionLevelReset: text.includes('FLReset+'),
  };
}
