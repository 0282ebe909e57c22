import { availableParallelism } from 'node:os';

/** One configuration for the whole repository; a package's tests are run by naming its folder. */
export default {
  roots: ['<rootDir>/libs', '<rootDir>/apps', '<rootDir>/examples', '<rootDir>/tools'],
  testMatch: ['**/*.test.ts'],
  testEnvironment: 'node',
  transform: { '^.+\\.(ts|mjs)$': '<rootDir>/tools/jest-transform.cjs' },
  transformIgnorePatterns: ['/node_modules/(?!(@weft|weft)/)'],
  moduleNameMapper: {
    '^@weft/(scheduler|worker|cli)$': '<rootDir>/apps/$1/src/index.ts',
    '^@weft/([a-z]+)$': '<rootDir>/libs/$1/src/index.ts',
    '^weft$': '<rootDir>/libs/weft/src/index.ts',
  },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  modulePathIgnorePatterns: ['<rootDir>/.*/dist/'],
  cacheDirectory: '<rootDir>/tmp/jest',
  testTimeout: 60000,
  // Tests run in processes of their own that are replaced as they grow: a process keeps the code of every suite that it ran, and
  // the inspector, which scripting asks for sources, and the garbage collector go through all of it.
  maxWorkers: Math.max(2, availableParallelism()),
  workerIdleMemoryLimit: '700MB',
};
