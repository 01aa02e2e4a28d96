{
  'targets': [
    {
      'target_name': 'mdev',
      # Every .cc below src/ belongs to the addon: a new file needs no entry here.
      'sources': ['<!@(find src -name "*.cc" | LC_ALL=C sort)'],
      'include_dirs': ['src'],
      'defines': ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'NODE_ADDON_API_CPP_EXCEPTIONS_ALL', 'NODE_ADDON_API_DISABLE_DEPRECATED',
                  # A Worker that is being terminated takes no exceptions: then there is nobody to tell.
                  'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      # Node's own settings, replaced by ours.
      'cflags!': ['-O3', '-Wno-unused-parameter'],
      'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
      'cflags_cc': [
        '-std=c++20',
        '-O2',
        '-Wall',
        '-Wextra',
        '-Werror',
        '-fexceptions',
        '-fvisibility=hidden',
        '-pthread',
        # A system directory, so that warnings inside these headers are not ours to fix.
        '-isystem', '<!(node -p "require(\'node:path\').dirname(require.resolve(\'node-addon-api/package.json\'))")',
      ],
      # Never unloaded: a Worker's end must not take away the SIGBUS handler, nor code that engine threads run.
      'ldflags': ['-pthread', '-Wl,-z,now', '-Wl,-z,nodelete'],
    },
  ],
}
