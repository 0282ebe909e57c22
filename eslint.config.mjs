import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** Import order of the parts (docs/architecture.md): each may import those before it, never those after it. */
const order = ['ir', 'ops', 'devices', 'tensor', 'jit', 'cluster', 'weft', 'app'];
const mayImport = {
  ir: [],
  ops: ['ir'],
  devices: ['ir'],
  tensor: ['ir', 'ops', 'devices'],
  jit: ['ir', 'ops', 'devices', 'tensor'],
  cluster: order.slice(0, 5),
  weft: order.slice(0, 6),
  app: [...order.slice(0, 7), 'app'],
  example: ['weft', 'devices', 'ir'],
};

export default [
  { ignores: ['**/dist', '**/.dist-*', '**/node_modules', 'tmp', '.nx', '**/*.generated.ts', 'coverage'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        {
          enforceBuildableLibDependency: false,
          allow: [],
          depConstraints: Object.entries(mayImport).map(([from, to]) => ({
            sourceTag: from,
            onlyDependOnLibsWithTags: [from, ...to],
          })),
        },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always'],
    },
  },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
];
