import tseslint from 'typescript-eslint';

const NODE_AND_IO = [
  'node:*',
  'fs',
  'path',
  'os',
  'crypto',
  'pg',
  'zod',
  'yaml',
  'commander',
  '@aws-sdk/*',
  '@aws-crypto/*',
  '@node-rs/*',
  'nodemailer/**',
];
const IMPLEMENTATIONS = ['stores', 'sources', 'notifiers', 'switches', 'vault', 'config', 'report'];

/** One rule entry: files matching `files` may not import what matches `group` (type-only imports pass where said). */
function forbid(files, patterns, ignores = []) {
  return { files, ignores, rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] } };
}

export default tseslint.config(
  { ignores: ['dist/**', '.dist-*/**', 'node_modules/**', 'docs/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
              package: 'node:test',
            },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      complexity: ['error', 12],
      'max-lines': ['error', { max: 300, skipBlankLines: false, skipComments: false }],
      'max-lines-per-function': ['error', { max: 60 }],
      'max-params': ['error', 3],
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true } }],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'time comes from Run.clock or the workflow' },
        { object: 'process', property: 'env', message: 'the environment is read in config/ only' },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'time comes from Run.clock or the workflow',
        },
      ],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: [
      'activities/io/clock.ts',
      'activities/io/secret.ts',
      'workflows/lib/time.ts',
      'activities/config/**',
      'workers/dev/**',
      'test/**',
      'client/environment.ts',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  { files: ['activities/io/clock.ts', 'test/**', 'workers/dev/**'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['test/**'], rules: { 'max-lines': ['error', { max: 400 }], 'max-lines-per-function': 'off' } },
  { files: ['workers/dev/**', 'client/output.ts', 'test/bench/**'], rules: { 'no-console': 'off' } },
  forbid(
    ['workflows/model/**/*.ts'],
    [
      {
        group: [
          ...NODE_AND_IO,
          '@temporalio/*',
          '!@temporalio/common',
          '**/activities/**',
          '**/workers/**',
          '**/client/**',
          '../lib/*',
          '../*.ts',
        ],
        message: 'model is a leaf: pure data and decisions',
      },
    ],
  ),
  forbid(
    ['workflows/*.ts', 'workflows/lib/**/*.ts'],
    [
      {
        group: [
          ...NODE_AND_IO,
          '@temporalio/activity',
          '@temporalio/worker',
          '@temporalio/client',
          '**/workers/**',
          '**/client/**',
        ],
        message: 'workflow code is deterministic and sandboxed',
      },
      { group: ['**/activities/**'], allowTypeImports: true, message: 'workflows take only the types of activities' },
    ],
  ),
  ...IMPLEMENTATIONS.map((family) =>
    forbid(
      [`activities/${family}/**/*.ts`],
      [
        {
          group: [
            '@temporalio/activity',
            '@temporalio/worker',
            '@temporalio/client',
            '@temporalio/workflow',
            '**/workers/**',
            '**/client/**',
            '**/workflows/*.ts',
            '**/workflows/lib/**',
          ],
          message: 'an implementation knows neither Temporal nor its callers',
        },
        ...(family === 'config'
          ? []
          : [
              {
                group: IMPLEMENTATIONS.filter((other) => other !== family).map((other) => `**/${other}/**`),
                message: 'one implementation never imports another: data passes through the shells',
                allowTypeImports: true,
              },
            ]),
      ],
    ),
  ),
  forbid(
    ['activities/io/**/*.ts'],
    [
      {
        group: [
          '@temporalio/activity',
          '@temporalio/worker',
          '@temporalio/client',
          '@temporalio/workflow',
          ...IMPLEMENTATIONS.map((f) => `**/${f}/**`),
          '**/workers/**',
          '**/client/**',
        ],
        message: 'io is below everything but the model',
      },
    ],
  ),
  forbid(
    ['activities/*.ts'],
    [{ group: ['**/workers/**', '**/client/**'], message: 'activities know neither worker nor client' }],
  ),
  forbid(['workers/*.ts'], [{ group: ['**/client/**'], message: 'workers do not know the client' }]),
  forbid(
    ['client/**/*.ts'],
    [
      {
        group: ['**/activities/**', '!**/activities/config', '!**/activities/config/**'],
        message: 'the client sees config only',
      },
      { group: ['**/workers/**'], message: 'only the verbs that are processes know them', allowTypeImports: true },
    ],
    // `lifeboat worker` and `lifeboat dev` are the processes themselves; an old key never leaves the process it is given to;
    // a server that recovers depends on nobody but the vault; a report is checked where nobody is to be asked.
    [
      'client/commands/worker.ts',
      'client/commands/dev.ts',
      'client/commands/keys-rewrap.ts',
      'client/commands/wal-fetch.ts',
      'client/commands/report-verify.ts',
    ],
  ),
);
