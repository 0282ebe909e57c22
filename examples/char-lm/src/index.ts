export * from './model.ts';
export * from './text.ts';
export { default as training } from './train.ts';
