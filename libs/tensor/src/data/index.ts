// torch.utils.data, the small part of it that weft has.
export * from './dataset.ts';
