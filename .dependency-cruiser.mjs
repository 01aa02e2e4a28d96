// The layers of src, lowest first, and what each may import:
//
//   emulation ← native ← engine, mdev ← vfio-user ← daemon ← cli
//
// backends/* see only what a vendor outside of this repository sees: the index files of emulation, engine and mdev.
// testing (the property kit) uses index files too and is the only one that may import fast-check.
// Type imports count (tsPreCompilationDeps). test/package/layers.test.ts plants one violation per rule.

/** A rule that lets `layer` import, of src, only itself and the layers in `below`. */
function layerRule(layer, below) {
  return {
    name: `${layer}-imports-only-below`,
    comment: `src/${layer} may import ${[...below, 'itself'].join(', ')} and nothing else of src.`,
    severity: 'error',
    from: { path: `^src/${layer}/` },
    to: { path: '^src/', pathNot: `^src/(${[layer, ...below].join('|')})/` },
  };
}

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'emulation-imports-nothing-else',
      comment: 'src/emulation is pure: no other layer, no Node.js module, no package.',
      severity: 'error',
      from: { path: '^src/emulation/' },
      to: { pathNot: '^src/emulation/' },
    },
    layerRule('native', ['emulation']),
    layerRule('engine', ['emulation', 'native']),
    layerRule('mdev', ['emulation', 'native']),
    layerRule('vfio-user', ['emulation', 'native', 'engine', 'mdev']),
    {
      name: 'vfio-user-client-knows-no-server',
      comment: 'What both sides need is in src/vfio-user/protocol, or in a lower layer.',
      severity: 'error',
      from: { path: '^src/vfio-user/client/' },
      to: { path: '^src/vfio-user/(server|handover)/' },
    },
    {
      name: 'vfio-user-server-knows-no-client',
      comment: 'What both sides need is in src/vfio-user/protocol, or in a lower layer.',
      severity: 'error',
      from: { path: '^src/vfio-user/(server|handover)/' },
      to: { path: '^src/vfio-user/client/' },
    },
    {
      name: 'vfio-user-protocol-knows-no-side',
      comment: 'Facts of the protocol: what its messages are, and not who sends them.',
      severity: 'error',
      from: { path: '^src/vfio-user/protocol/' },
      to: { path: '^src/vfio-user/', pathNot: '^src/vfio-user/protocol/' },
    },
    layerRule('daemon', ['emulation', 'native', 'engine', 'mdev', 'vfio-user', 'backends']),
    layerRule('cli', ['emulation', 'native', 'engine', 'mdev', 'vfio-user', 'backends', 'daemon']),
    {
      name: 'backends-use-public-indices',
      comment: 'A backend of ours has nothing that an outside vendor lacks.',
      severity: 'error',
      from: { path: '^src/backends/([^/]+)/' },
      to: { path: '^src/', pathNot: ['^src/backends/$1/', '^src/(emulation|engine|mdev)/index\\.ts$'] },
    },
    {
      name: 'backends-are-used-by-index',
      comment: 'What the operators’ side needs of a backend is in its index.',
      severity: 'error',
      from: { path: '^src/(daemon|cli)/' },
      to: { path: '^src/backends/', pathNot: '^src/backends/[^/]+/index\\.ts$' },
    },
    {
      name: 'testing-uses-public-indices',
      comment: 'The property kit works for any vendor’s device, so it knows only what is public.',
      severity: 'error',
      from: { path: '^src/testing/' },
      to: { path: '^src/', pathNot: ['^src/testing/', '^src/([^/]+|backends/[^/]+)/index\\.ts$'] },
    },
    {
      name: 'fast-check-only-in-testing',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/testing/' },
      to: { path: '(^|/)fast-check(/|$)' },
    },
    {
      name: 'no-development-packages',
      comment: 'Users of the package do not have its development dependencies.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/testing/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'src-is-self-contained',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|docs)/' },
    },
    {
      name: 'no-runtime-cycles',
      comment: 'Types may refer to each other; modules that run may not.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};
